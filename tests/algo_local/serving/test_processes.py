"""`algo local serve --processes N`: several front ends and one engine are one platform, and any of them may die."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.postgresql import PostgresqlServer
from support.programs import needs
from support.serving import algo
from support.several import Client, Several, eventually
from support.wire import PATIENCE

from algo_core.errors import ExitCode
from algo_local.algorithms.builds import MOST_ATTEMPTS
from algo_local.algorithms.lifecycle import create
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.opening import open_platform
from algo_local.testing import TOKEN

HOLD = """
import os, time
def apply(path):
    with open(path + ".count", "a") as file:
        file.write("x")
    while not os.path.exists(path):
        time.sleep(0.01)
    return "held"
"""
ECHO = "def apply(input):\n    return input\n"
INSIDE = """
import json, os, urllib.request
def ask(method, path, value):
    headers = {"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
    address = os.environ["ALGORITHMIA_API"] + "/v1/" + path
    request = urllib.request.Request(address, json.dumps(value).encode(), headers, method=method)
    return urllib.request.urlopen(request).read()
def apply(input):
    ask("PUT", "data/.session/x", input)
    ask("POST", "insights", [{"insight_key": "depth", "insight_value": input}])
    return json.loads(ask("POST", "algo/jane/Echo", input))["result"]
"""
SECRET = "import os\ndef apply(input):\n    return os.environ.get('WORD', 'none')\n"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state with algorithms of jane, an administrator."""
    base = tmp_path_factory.mktemp("several")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ALGO_LOCAL_ROOT": base / "root",
            "HOME": base,
            "ALGO_CONFIG_DIR": base / "config",
            "ALGO_CACHE_DIR": base / "cache",
            "ALGO_LOCAL_SANDBOX": "off",
            "LOGNAME": "jane",
        }.items():
            patch.setenv(name, str(value))
        platform = open_platform(base / "root")
        for name, code in {"Hold": HOLD, "Echo": ECHO, "Inside": INSIDE, "Secret": SECRET, "Token": TOKEN}.items():
            directory = base / name
            (directory / "src").mkdir(parents=True)
            (directory / "src" / "__init__.py").touch()
            (directory / "src" / f"{name}.py").write_text(code)
            platform.publish(directory, "jane", name, "1.0.0", network_access="full")
        platform.close()
        Several.key = algo("local", "key", "new", "jane", "--admin").stdout.strip()
        yield base


@pytest.fixture(scope="module")
def together(state: Path) -> Iterator[Several]:
    """One that no test ends."""
    started = Several("--processes", "2")
    yield started
    started.kill()


@pytest.fixture
def several(state: Path) -> Iterator[Several]:
    """One that a test may kill parts of."""
    started = Several("--processes", "2")
    yield started
    started.kill()


def counted(path: Path) -> int:
    """How often `Hold` was executed with a path."""
    counter = Path(f"{path}.count")
    return len(counter.read_text()) if counter.exists() else 0


def connections(process: int, port: int) -> int:
    """How many connections to the port a process has."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ours = {line.split()[9] for line in table if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01"}
    found = 0
    for descriptor in os.listdir(f"/proc/{process}/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/{process}/fd/{descriptor}")[8:-1] in ours
    return found


def test_connections_are_spread_evenly(together: Several) -> None:
    port = int(together.address.rpartition(":")[2])
    with together.clients(20):
        eventually(lambda: sum(connections(process, port) for process in together.front_ends) == 20)
        assert min(connections(process, port) for process in together.front_ends) >= 8


# What one process had in its memory is one for all


def test_a_listing_goes_on_at_another_front_end(together: Several, state: Path) -> None:
    with together.clients() as (one, other):
        assert one("POST", "data/.my", {"name": "many"})[0] == 200
        for number in range(2100):
            (state / "root" / "data" / "jane" / "many" / f"f{number:04}").touch()
        for order in ([one, other, one], [other, other, one], [one, one, other]):
            names, query = [], ""
            for client in order:
                status, page = client("GET", f"data/.my/many{query}")
                assert status == 200
                names += [entry["filename"] for entry in page["files"]]
                query = f"?marker={page.get('marker')}"
            assert names == [f"f{number:04}" for number in range(2100)]
            assert "marker" not in page
        assert one("DELETE", "data/.my/many?force=true")[0] == 200


def test_a_key_is_executed_once_whichever_front_end_has_it(together: Several, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with together.clients() as (one, other):
        for client in (one, other):
            client.send("POST", "algo/jane/Hold", str(path), Idempotency_Key="once")
            eventually(lambda: counted(path))
        path.touch()
        (_, first), (_, second) = one.receive(), other.receive()
        assert first["result"] == "held"
        assert first == second
        assert other.headers["Idempotency-Replayed"] == "true"
        assert one("POST", "algo/jane/Hold", str(path), Idempotency_Key="once")[1]["request_id"] == first["request_id"]
        assert other("POST", "algo/jane/Hold", "other", Idempotency_Key="once")[0] == 422
    assert counted(path) == 1


@pytest.mark.parametrize("query", ["", "?output=void"])
def test_a_call_is_seen_and_cancelled_from_any_front_end(together: Several, tmp_path: Path, query: str) -> None:
    with together.clients(3) as (caller, *clients):
        for number, client in enumerate(clients):
            path = tmp_path / f"never{number}"
            caller.send("POST", f"algo/jane/Hold{query}", str(path))
            eventually(lambda path=path: counted(path))
            eventually(lambda client=client: client("GET", "requests?state=running")[1]["results"])
            (found,) = client("GET", "requests?state=running")[1]["results"]
            assert found["worker"]
            cancelled = client("POST", f"requests/{found['request_id']}/cancel?wait=30")[1]
            assert cancelled["state"] == "cancelled"
            answer = caller.receive()[1]
            assert ("error" in answer) == (not query)
            assert (
                client("GET", f"requests/{found['request_id']}/result")[1]["error"]["message"]
                == "The call was cancelled"
            )


def test_the_limit_of_calls_under_way_is_one(together: Several, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with together.clients(81) as clients:
        for client in clients[:60]:
            client.send("POST", "algo/jane/Hold", str(path))
        void = [client("POST", "algo/jane/Hold?output=void", str(path))[0] for client in clients[60:80]]
        assert void == [200] * 20
        eventually(lambda: len(clients[80]("GET", "requests?state=running,queued&limit=100")[1]["results"]) == 80)
        for client in (clients[80], clients[79], clients[78]):
            for query in ("", "?output=void"):
                status, answer = client("POST", f"algo/jane/Hold{query}", str(path))
                assert status == 429, answer
                assert "80 under way" in answer["error"]["message"]
        path.touch()
        assert {client.receive()[1]["result"] for client in clients[:60]} == {"held"}
        eventually(lambda: not clients[80]("GET", "requests?state=running,queued")[1]["results"])


def test_what_an_algorithm_does_inside_its_call_reaches_it(together: Several, state: Path) -> None:
    with together.clients() as clients:
        for number, client in enumerate(clients):
            status, answer = client("POST", "algo/jane/Inside", f"x{number}")
            assert (status, answer.get("result")) == (200, f"x{number}"), answer
            found = clients[1 - number]("GET", f"requests/{answer['request_id']}")[1]
            assert [(entry["insight_key"], entry["insight_value"]) for entry in found["insights"]][:1] == [
                ("depth", f"x{number}")
            ]
            inner = clients[number]("GET", "requests?algorithm=jane/Echo&limit=1")[1]["results"][0]
            assert (inner["parent"], inner["state"]) == (answer["request_id"], "done")
    sessions = state / "root" / "sessions"
    assert not sessions.exists() or not any(sessions.iterdir())


def test_an_algorithm_is_known_at_any_front_end_while_it_runs(together: Several, tmp_path: Path) -> None:
    path = tmp_path / "token"
    with together.clients(3) as (caller, *clients):
        caller.send("POST", "algo/jane/Token", str(path))
        eventually(path.exists)
        owner, token = caller.key, path.read_text()
        for number, client in enumerate(clients):
            client.key = token
            assert client("GET", "data/.session")[0] == 200
            assert client("POST", "algo/jane/Echo", number)[1]["result"] == number
            told = client("POST", "insights", [{"insight_key": f"n{number}", "insight_value": 1}])
            assert told[0] in (200, 204), told
            assert client("POST", "insights", [{"insight_key": "many", "insight_value": "x" * 70_000}])[0] in (400, 413)
        path.unlink()
        identifier = caller.receive()[1]["request_id"]
        for client in clients:
            assert client("GET", "data/.session")[0] == 401
            client.key = owner
            found = client("GET", f"requests/{identifier}")[1]["insights"]
            assert {entry["insight_key"] for entry in found} >= {"n0", "n1"}


def test_workers_follow_what_is_set_at_any_front_end(together: Several) -> None:
    with together.clients() as (one, other):
        assert one("POST", "algo/jane/Secret", "x")[1]["result"] == "none"
        made = {
            "name": "WORD",
            "short_name": "WORD",
            "secret_key": "WORD",
            "secret_value": "new",
            "owner_type": "algorithm",
        }
        workers = 'algo_algorithm_workers{algorithm="jane/Secret"}'
        assert metrics(other)[workers] == 1
        assert other("POST", "algorithms/jane/Secret/secrets", made)[0] in (200, 201)
        assert metrics(other).get(workers, 0) == 0, "one that is idle has ended by then"
        assert one("POST", "algo/jane/Secret", "x")[1]["result"] == "new"


def metrics(client: Client) -> dict[str, float]:
    status, page = client("GET", "/metrics")
    assert status == 200
    return {name: float(value) for name, value in re.findall(r"^([a-z]\S*) (\S+)$", page.decode(), re.MULTILINE)}


def test_metrics_are_those_of_all_whoever_is_asked(together: Several) -> None:
    done = 'algo_calls_total{algorithm="jane/Echo",state="done"}'
    with together.clients() as clients:
        before = metrics(clients[0]).get(done, 0.0)
        for number in range(4):
            assert clients[number % 2]("POST", "algo/jane/Echo", number)[1]["result"] == number
        clients[0]("POST", "algo/jane/Echo?output=void", 1)
        eventually(lambda: metrics(clients[1])[done] == before + 5)
        one, other = map(metrics, clients)
        changing = ("process_", "algo_workers_memory", "algo_records")
        steady = [
            {name: value for name, value in found.items() if not name.startswith(changing)} for found in (one, other)
        ]
        assert steady[0] == steady[1]
        assert one["process_open_fds"] > 3 * 10
        assert one['algo_call_seconds_count{algorithm="jane/Echo"}'] == before + 5
        clients[0].key = "simnone"
        assert clients[0]("GET", "/metrics")[0] == 401
        assert clients[0]("GET", "/healthz") == (200, {"status": "ok"})


# Options


PLUGIN = """
import os
from algo_core import ExecutorFactory, hookimpl
from algo_local.execution.executor import Description, Outcome, Payload

@hookimpl
def algo_executors():
    return [ExecutorFactory("one", "acme.plugin:One", help="x")]

class One:
    def __init__(self, app, endpoint, directory):
        self.calls = 0

    def call(self, build, payload, *, timeout, context, on_start=None, on_output=None):
        on_start("worker")
        self.calls += 1
        return Outcome(Payload("json", [os.getpid(), self.calls, payload.data]), None, 0.0, "")

    def describe(self):
        return Description(7, 0, 0, 0)

    def start(self): pass
    def cancel(self, request_id): return False
    def context_of(self, token): return None
    def drain(self, seconds): return True
    def close(self): pass
"""


def installed(directory: Path, plugin: str) -> dict[str, str]:
    """The environment in which a plugin is installed that is made in a directory."""
    (directory / "acme").mkdir()
    (directory / "acme" / "__init__.py").touch()
    (directory / "acme" / "plugin.py").write_text(plugin)
    info = directory / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[algo.plugins]\nacme = acme.plugin\n")
    return {"PYTHONPATH": str(directory), "ALGO_CACHE_DIR": str(directory / "cache")}


def test_the_executor_of_a_plugin_is_one_for_all(state: Path, tmp_path: Path) -> None:
    environ = {**os.environ, **installed(tmp_path, PLUGIN)}
    with contextlib.closing(Several("--processes", "2", "--engine", "one", environ=environ)) as several:
        with several.clients() as clients:
            for number in range(4):
                result = clients[number % 2]("POST", "algo/jane/Echo", {"a": number})[1]["result"]
                assert result == [several.engine, number + 1, {"a": number}]
                assert metrics(clients[number % 2])["algo_workers"] == 7
        assert several.stop() == (ExitCode.OK, "")
    failing = PLUGIN.replace("self.calls = 0", "raise ValueError('no cluster here')")
    (tmp_path / "acme" / "plugin.py").write_text(failing)
    found = algo("local", "serve", "--port", "0", "--processes", "2", "--engine", "one", env=environ)
    assert found.returncode == ExitCode.PLUGIN
    assert "The plugin acme 1.0 is broken" in found.stderr
    assert "Traceback" not in found.stderr
    assert "Serving" not in found.stderr


def test_tls_and_logs_are_those_of_one_process(state: Path, tmp_path: Path) -> None:
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    options = ("--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem"))
    logs = ("--log", "json", "--log-calls", "json")
    with contextlib.closing(Several("--processes", "3", *options, *logs)) as several, several.clients(3) as clients:
        for client in clients:
            assert client("POST", "algo/jane/Echo", 1)[1]["result"] == 1
            assert client("POST", "algo/jane/Echo?output=void", 2)[0] == 200
        assert clients[0]("GET", f"data/.my/{'x' * 5000}")[0] == 404
        eventually(lambda: several.said().count("\n") >= 14)
        lines = [json.loads(line) for line in several.said().splitlines()[1:]]
        calls = [line for line in lines if "request_id" in line]
        assert len({line["request_id"] for line in calls}) == len(calls) == 6
        assert sorted(line["status"] for line in lines if "status" in line) == [200] * 6 + [404]
    with open(tmp_path / "none.pem", "w"):
        wrong = algo("local", "serve", "--port", "0", "--processes", "2", "--tls-cert", str(tmp_path / "none.pem"))
    assert wrong.returncode == ExitCode.CONFIGURATION


def test_other_commands_see_it(together: Several) -> None:
    with together.clients(1) as (client,):
        client("POST", "algo/jane/Echo", 1)
    seen = json.loads(algo("local", "top", "--json", "--window", "600").stdout)
    (echo,) = [version for version in seen["versions"] if version["version"] == "jane/Echo/1.0.0"]
    assert echo["workers"] >= 1
    assert echo["latency"]
    assert json.loads(algo("local", "status", "--json").stdout)["account"] == "jane"


# Rolling


class Unpausing:
    """A client that sends request after request; `is_kept` has it keep its connection as long as the server does."""

    def __init__(self, several: Several, over: threading.Event, *, is_kept: bool) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._several, self._over, self._is_kept = several, over, is_kept
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        client: Client | None = None
        while not self._over.is_set():
            try:
                client = client or self._several.connect()
                status, answer = client("POST", "algo/jane/Echo", self.answered)
                if (status, answer.get("result")) != (200, self.answered):
                    self.failures.append(f"{status} {answer}")
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            if client and (not self._is_kept or client.connection.sock is None):
                client.close()
                client = None
        if client:
            client.close()


def test_front_ends_are_replaced_one_by_one_and_no_request_fails(several: Several, tmp_path: Path) -> None:
    path, over, (first, second) = tmp_path / "go", threading.Event(), several.front_ends
    port = int(several.address.rpartition(":")[2])

    def replaced(process: int) -> bool:
        return process not in several.front_ends and len(several.front_ends) == 2

    def go_on() -> None:
        before = [client.answered for client in clients]
        eventually(lambda: all(c.answered > n + 3 for c, n in zip(clients, before, strict=True)))

    with several.clients(2) as held:  # one of each front end
        for client in held:
            client.send("POST", "algo/jane/Hold", str(path))
        eventually(lambda: counted(path) == 2)
        clients = [Unpausing(several, over, is_kept=number % 2 == 0) for number in range(6)]
        try:
            go_on()
            for _ in range(2):
                os.kill(first, signal.SIGTERM)
            eventually(lambda: connections(first, port) == 1)
            go_on()
            assert first in several.front_ends, "its call is still under way"
            path.touch()
            assert [client.receive()[1].get("result") for client in held] == ["held"] * 2
            for client in held:
                client.close()
            eventually(lambda: replaced(first))
            go_on()
            os.kill(second, signal.SIGTERM)
            eventually(lambda: replaced(second))
            go_on()
        finally:
            path.touch()
            over.set()
            for unpausing in clients:
                unpausing.thread.join()
    assert [client.failures for client in clients] == [[]] * 6
    assert several.said().count("ended (exit code 0); it is started again") == 2


# Deaths


def test_a_void_call_outlives_its_front_end(several: Several, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with several.clients(1) as (client,):
        status, answer = client("POST", "algo/jane/Hold?output=void", str(path))
        assert status == 200
        eventually(lambda: counted(path))
        for process in several.front_ends:
            several.crash(process)
        path.touch()
    with several.clients(1) as (client,):
        status, found = client("GET", f"requests/{answer['request_id']}/result?wait=30")
        assert (status, found["result"]) == (200, "held")
    assert "ended (signal 9); it is started again" in several.said()


def test_the_end_of_a_call_whose_front_end_died_is_on_record(several: Several, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with several.clients(1) as (client,):
        client.send("POST", "algo/jane/Hold", str(path), Idempotency_Key=f"outlives {tmp_path}")
        eventually(lambda: counted(path))
        for process in several.front_ends:
            several.crash(process)
    with several.clients(1) as (client,):
        client.send("POST", "algo/jane/Hold", str(path), Idempotency_Key=f"outlives {tmp_path}")
        time.sleep(0.1)
        path.touch()
        status, answer = client.receive()
        assert (status, answer.get("result")) == (200, "held"), answer
        assert client.headers["Idempotency-Replayed"] == "true"
    assert counted(path) == 1


def test_a_call_that_ran_in_a_dead_engine_is_lost_and_nothing_else(several: Several, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with several.clients(3) as (client, waiting, other):
        client.send("POST", "algo/jane/Hold", str(path))
        eventually(lambda: counted(path))
        os.kill(several.engine, signal.SIGKILL)
        waiting.send("POST", "algo/jane/Echo", "waited")
        assert other("GET", "data/.my")[0] == 200
        status, answer = client.receive()
        assert status == 200
        assert "ended while the call ran" in answer["error"]["message"]
        assert waiting.receive()[1]["result"] == "waited"
        assert other("GET", f"requests/{answer['request_id']}")[1]["state"] == "lost"
    assert counted(path) == 1


def test_the_build_of_a_dead_front_end_has_failed_and_can_be_made_again(state: Path, tmp_path: Path) -> None:
    platform = open_platform(state / "root")
    algorithm = create(platform.registry, "jane", "Slow", {"source_visibility": "closed", "license": "apl"})
    files = [("src/Slow.py", ECHO), ("src/__init__.py", ""), ("requirements.txt", "some-package==1.0\n")]
    entries = [TreeEntry(path, FILE, text.encode()) for path, text in files]
    platform.repositories.commit(algorithm, entries, "jane", "Slow")
    platform.close()
    with socket.create_server(("127.0.0.1", 0)) as index, contextlib.ExitStack() as stack:  # which never answers
        address = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        environ = {**os.environ, "PIP_INDEX_URL": address, "ALGO_LOCAL_INSTALLER": "pip"}
        several = stack.enter_context(contextlib.closing(Several("--processes", "2", environ=environ)))
        with several.clients(1) as (client,):
            client.send("POST", "algorithms/jane/Slow/compile")
            index.accept()[0].close()
            (builder,) = (
                each for each in several.front_ends if connections(each, int(several.address.rpartition(":")[2]))
            )
            several.crash(builder)
        with several.clients() as clients:
            for client in clients:
                (build,) = client("GET", "algorithms/jane/Slow/builds")[1]["results"]
                assert build["status"] == "failed"
                log = client("GET", f"algorithms/jane/Slow/builds/{build['build_id']}/logs")[1]["logs"]
                assert "the platform ended while this build ran: build it again" in log
            clients[0].send("POST", "algorithms/jane/Slow/compile")
            index.accept()[0].close()


def test_the_build_of_a_push_outlives_its_front_end_is_begun_again_and_ends(state: Path, tmp_path: Path) -> None:
    needs("git")
    platform = open_platform(state / "root")
    create(platform.registry, "jane", "Pushed", {"source_visibility": "closed", "license": "apl"})
    platform.close()
    names = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    person = {**dict.fromkeys(names, "j@x.test"), "HOME": str(tmp_path)}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], env={**os.environ, **person}, check=True, capture_output=True, timeout=60)

    with socket.create_server(("127.0.0.1", 0)) as index, contextlib.ExitStack() as stack:  # which never answers
        index.settimeout(PATIENCE)
        address = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        environ = {**os.environ, "PIP_INDEX_URL": address, "ALGO_LOCAL_INSTALLER": "pip"}
        several = stack.enter_context(contextlib.closing(Several("--processes", "2", environ=environ)))
        remote = f"{several.address.replace('://', f'://git:{several.key}@')}/git/jane/Pushed.git"
        clone = str(tmp_path / "clone")
        git("clone", remote, clone)
        (tmp_path / "clone" / "requirements.txt").write_text("some-package==1.0\n")
        git("-C", clone, "commit", "-qam", "Slow")
        git("-C", clone, "push", "-q")
        stack.enter_context(index.accept()[0])

        def builds() -> Any:
            with several.clients(1) as (client,):
                return client("GET", "algorithms/jane/Pushed/builds")[1]["results"]

        (first,) = builds()
        for front_end in several.front_ends:
            several.crash(front_end)
        for _ in range(MOST_ATTEMPTS - 1):
            several.crash(several.engine)
            stack.enter_context(index.accept()[0])
            (found,) = builds()
            assert (found["build_id"], found["status"]) == (first["build_id"], "in-progress")
        several.crash(several.engine)
        eventually(lambda: [build["status"] for build in builds()] == ["failed"])


# Hangs

STUCK = PLUGIN.replace(
    "        self.calls += 1\n",
    "        if payload.data == 'stuck':\n            __import__('re').match('(a+)+b', 'a' * 100)  # which lets no thread run\n",
)
HANG = {"ALGO_LOCAL_HANG_SECONDS": "1"}


def test_what_is_stopped_is_ended_and_started_again_an_engine_with_its_workers(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "never"
    with contextlib.closing(Several("--processes", "2", environ={**os.environ, **HANG})) as several:
        with several.clients(3) as (client, waiting, other):
            client.send("POST", "algo/jane/Hold", str(path))
            eventually(lambda: counted(path))
            eventually(lambda: other("GET", "requests?state=running")[1]["results"])
            (running,) = other("GET", "requests?state=running")[1]["results"]
            before = several.engine
            os.kill(before, signal.SIGSTOP)
            waiting.send("POST", "algo/jane/Echo", "waited")
            late = []
            while not is_gone(before):
                late.append(several.connect())
                late[-1].send("POST", "algo/jane/Echo", "late")
                assert other("GET", "data/.my")[0] == 200
                time.sleep(0.03)
            found = [(client.receive(), client.headers.get("Retry-After")) for client in late]
            # Those wait that came before it was in doubt, of which there may be too many on a slow machine.
            assert {200, 503} <= {status for (status, _), _ in found} <= {200, 429, 503}
            for (status, answer), again in found:
                assert (answer.get("result"), again) == ("late", None) if status == 200 else again == "1", answer
            assert waiting.receive()[1].get("result") == "waited"
            assert "ended while the call ran" in client.receive()[1]["error"]["message"]
            eventually(lambda: is_gone(int(running["worker"])))
            assert other("POST", "algo/jane/Echo", "on")[1]["result"] == "on"
        front_end = several.front_ends[0]
        os.kill(front_end, signal.SIGSTOP)
        eventually(lambda: is_gone(front_end) and len(several.front_ends) == 2)
        with several.clients() as clients:
            for client in clients:
                assert client("POST", "algo/jane/Echo", 1)[1]["result"] == 1
        told = " of the platform has not answered for 1 s and was ended; it is started again"
        ended = [line.partition(told)[0] for line in several.said().splitlines() if told in line]
        assert ended[0] == "The engine"
        assert ended[1].startswith("Front end ")


def test_an_engine_that_lets_no_thread_run_is_ended(state: Path, tmp_path: Path) -> None:
    environ = {**os.environ, **HANG, **installed(tmp_path, STUCK)}
    with contextlib.closing(Several("--processes", "2", "--engine", "one", environ=environ)) as several:
        before = several.engine
        with several.clients(1) as (client,):
            assert "ended while the call ran" in client("POST", "algo/jane/Echo", "stuck")[1]["error"]["message"]
            assert is_gone(before)
            assert client("POST", "algo/jane/Echo", "on")[1]["result"][2] == "on"


# The end


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_all_end_and_leave_nothing(several: Several, state: Path, tmp_path: Path, number: int) -> None:
    locks = state / "root" / "running"
    with several.clients(4) as clients:
        before = set(locks.iterdir())
        clients[0].send("POST", "algo/jane/Hold", str(tmp_path / "never"))
        clients[1]("POST", "algo/jane/Hold?output=void", str(tmp_path / "never"))
        clients[2]("GET", "data/.my")
        eventually(lambda: counted(tmp_path / "never") == 2)
        workers = [int(entry["worker"]) for entry in clients[3]("GET", "requests?state=running")[1]["results"]]
        own = [several.engine, *several.front_ends]
        processes = [*own, *workers]
        for process in own if number != signal.SIGKILL else []:
            os.kill(process, number)  # as a terminal does, or what ends a service
        assert clients[3]("GET", "data/.my")[0] == 200, "the parent ends them, and nobody else does"
        if number == signal.SIGTERM:
            several.process.send_signal(number)
        if number == signal.SIGKILL:
            for process in own[:2]:
                os.kill(process, signal.SIGSTOP)  # as one that hangs when its parent dies
        code, said = several.stop(number)
        if number != signal.SIGKILL:
            assert code == ExitCode.OK
            assert said == ""
            answer = clients[0].receive()[1]
            assert answer["error"]["message"] == "The platform is shutting down"
        eventually(lambda: all(map(is_gone, processes)))
    assert set(locks.iterdir()) < before
    with pytest.raises(ConnectionRefusedError):
        several.connect()
    with open_platform(state / "root").database.read() as rows:
        assert not rows.execute("SELECT id FROM requests WHERE state IN ('queued', 'running')").fetchall()


def test_what_cannot_start_is_told_as_by_one_process(state: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = algo("local", "serve", "--processes", "2", "--port", port)
        assert (found.returncode, "Cannot listen" in found.stderr) == (ExitCode.USAGE, True)
    (tmp_path / "file").write_text("")
    environ = {**os.environ, "ALGO_LOCAL_ROOT": str(tmp_path / "file")}
    for count in ("1", "3"):
        found = algo("local", "serve", "--processes", count, "--port", "0", env=environ)
        assert found.returncode not in (ExitCode.OK, ExitCode.USAGE), found
        assert "Traceback" not in found.stderr
    for wrong in ("0", "257"):
        assert algo("local", "serve", "--processes", wrong, "--port", "0").returncode == ExitCode.USAGE


# Under load

KILLS, CLIENTS = 12, 10


class Worker:
    """A client that writes, reads and calls on its own, and remembers all that was acknowledged."""

    def __init__(self, several: Several, number: int, ended: threading.Event) -> None:
        self.several, self.number, self.ended = several, number, ended
        self.stored: dict[str, bytes] = {}
        self.results: dict[str, tuple[str, Any]] = {}
        """By idempotency key, the id of the call and its result."""
        self.void: list[str] = []
        self.problems: list[str] = []
        self.repeats = self.count = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        client: Client | None = None
        while not self.ended.is_set():
            try:
                client = client or self.several.connect()
                self.step(client, self.count)
                self.count += 1
            except (OSError, http.client.HTTPException):  # its front end died: as a client does, it tries again
                self.repeats += 1
                if client:
                    client.close()
                client = None
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                return
        if client:
            client.close()

    def step(self, client: Client, count: int) -> None:
        name, data = f"{self.number}-{count}", os.urandom(2000)
        status, answer = client("PUT", f"data/.my/load/{name}", data)
        assert status == 200, answer
        self.stored[name] = data
        key = f"load {self.number} {count}"
        status, answer = client("POST", "algo/jane/Echo", key, Idempotency_Key=key)
        if status in (409, 503):
            return
        assert status == 200, answer
        if "error" in answer:
            assert "ended while the call ran" in answer["error"]["message"], answer
        else:
            assert answer["result"] == key
            self.results[key] = answer["request_id"], key
        if count % 5 == 0:
            status, answer = client("POST", "algo/jane/Echo?output=void", key)
            assert status in (200, 503), answer
            if status == 200:
                self.void.append(answer["request_id"])


def test_nothing_acknowledged_is_lost_however_often_a_process_is_killed(several: Several) -> None:
    with several.clients(1) as (client,):
        client("POST", "data/.my", {"name": "load"})
    ended = threading.Event()
    workers = [Worker(several, number, ended) for number in range(CLIENTS)]
    for kill in range(KILLS):
        before = sum(worker.count for worker in workers)
        eventually(lambda before=before: sum(worker.count for worker in workers) >= before + 5)
        eventually(lambda: several.parts("algo-engine") and several.parts("algo-front"))
        several.crash(several.engine if kill % 3 == 2 else several.front_ends[0])
    ended.set()
    for worker in workers:
        worker.thread.join()
    assert [worker.problems for worker in workers] == [[]] * CLIENTS
    with several.clients(1) as (client,):
        for worker in workers:
            for name, data in worker.stored.items():
                assert client("GET", f"data/.my/load/{name}") == (200, data)
            for key, (identifier, result) in worker.results.items():
                status, answer = client("POST", "algo/jane/Echo", key, Idempotency_Key=key)
                assert (status, answer["request_id"], answer.get("result")) == (200, identifier, result)
            for identifier in worker.void:
                state = client("GET", f"requests/{identifier}/result?wait=30")[1]
                assert "result" in state or "ended" in state["error"]["message"], state
        assert not client("GET", "requests?state=running,queued")[1]["results"]
        client("DELETE", "data/.my/load?force=true")
    assert "The engine of the platform ended (signal 9); it is started again" in several.said()


def test_several_processes_share_a_database_server(state: Path, postgresql: PostgresqlServer, tmp_path: Path) -> None:
    url = postgresql.lend()
    environ = {**os.environ, "ALGO_LOCAL_ROOT": str(tmp_path / "root"), "ALGO_LOCAL_METADATA": url}
    key = algo("local", "key", "new", "jane", env=environ).stdout.strip()
    with contextlib.closing(Several("--processes", "2", environ=environ)) as several:
        several.key = key
        with several.clients() as clients:
            for number, client in enumerate(clients):
                assert client("POST", "algo/demo/Hello", number, Idempotency_Key=f"k{number}")[0] == 200
            found = [client("GET", "requests")[1]["results"] for client in clients]
            assert found[0] == found[1]
            assert len(found[0]) == 2
            for process in (several.engine, several.front_ends[0]):
                several.crash(process)
        with several.clients() as clients:
            for client in clients:
                assert client("POST", "algo/demo/Hello", 0, Idempotency_Key="k0")[0] == 200
                assert client.headers["Idempotency-Replayed"] == "true"
                assert client("POST", "algo/demo/Hello", 5)[1]["result"] == "Hello 5"
        assert several.stop()[0] == ExitCode.OK
    postgresql.take_back(url)
