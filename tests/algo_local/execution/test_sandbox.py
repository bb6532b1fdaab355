"""What an algorithm sees of the machine in a sandbox, what becomes of platforms that have none, and the settings."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

from algo_core.errors import ConfigError
from algo_local.algorithms.build import Build, NetworkAccess
from algo_local.callers import CallContext
from algo_local.execution.payload import Payload
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.execution.workers.sandbox import Shared, protection, shared_paths

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")

Call = Callable[..., Any]


class Echo:
    """The platform's address, and what it hands out: whoever connects is sent a line."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._greet(self._listener, b"machine\n")

    def _greet(self, listener: socket.socket, line: bytes) -> None:
        def work() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(line)
            except OSError:
                pass

        threading.Thread(target=work, daemon=True).start()

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        self._greet(listener, b"platform\n")
        return lambda: (listener.shutdown(socket.SHUT_RDWR), listener.close())[1]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo_server() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def sandboxed(
    monkeypatch: pytest.MonkeyPatch, processes: Path, echo_server: Echo, build: Callable[..., Build]
) -> Iterator[Call]:
    """Runs code in a sandbox as people have it, and returns its result: `sandboxed(code, input)`."""
    needs("bwrap")
    monkeypatch.delenv("ALGO_LOCAL_SANDBOX", raising=False)
    made = []

    def call(code: str, data: Any = None, network_access: NetworkAccess = "full", **files: str) -> Any:
        made.append(LocalPool(lambda: echo_server, processes))
        published = replace(build(code, **files), network_access=network_access)
        outcome = made[-1].call(published, Payload("json", data), timeout=60, context=CONTEXT)
        assert outcome.failure is None, outcome
        assert outcome.result is not None
        return outcome.result.data

    yield call
    for executor in made:
        executor.close()


READ = """
    import glob, os

    def apply(paths):
        found = {}
        for path in paths:
            for name in glob.glob(path) or [path]:
                try:
                    found[name] = open(name, errors="replace").read() if not os.path.isdir(name) else os.listdir(name)
                except OSError as error:
                    found[name] = error.strerror
        return found
    """


def test_no_file_of_the_platform_or_of_a_person_is_seen(sandboxed: Call, tmp_path: Path) -> None:
    for name in ("platform.sqlite3", "data/bob/notes/f", "sources/x", "connectors/1.json"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("hush")
    secrets = [tmp_path / "root" / "platform.sqlite3", tmp_path / "root/data/bob/notes/f", Path(__file__)]
    paths = [*map(str, secrets), str(tmp_path), "/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/var/lib", "/srv"]
    assert sandboxed(READ, paths) == dict.fromkeys(paths, "No such file or directory")
    # An interpreter may have been installed in somebody's home: of that, the way to it is seen.
    home = str(Path.home())
    seen = sandboxed(READ, [home])[home]
    assert seen == "No such file or directory" or all(sys.base_prefix.startswith(f"{home}/{name}") for name in seen)


def test_no_process_of_the_machine_and_none_of_their_environments_is_seen(sandboxed: Call, monkeypatch: Any) -> None:
    monkeypatch.setenv("VERY_SECRET", "hush-hush")
    found = sandboxed(READ, ["/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline"])
    assert "hush-hush" not in str(found)
    assert "pytest" not in str([text for name, text in found.items() if name.endswith("cmdline")])
    assert len(found) <= 6  # the supervisor and the algorithm, and what a fork may have left a moment ago


def test_the_temporary_directory_and_home_are_empty_and_the_directory_is_the_platforms(sandboxed: Call) -> None:
    code = """
        import getpass, os, tempfile
        def apply(input):
            home = os.path.expanduser("~")
            return [os.listdir("/tmp"), tempfile.gettempdir(), os.listdir("/var/tmp"), home, os.listdir(home),
                    os.getcwd(), getpass.getuser()]
        """
    assert sandboxed(code) == [[], "/tmp", [], "/home/algo", [], "/opt/algorithm", "algo"]


WRITE = """
    import os

    def apply(paths):
        written = []
        for path in paths:
            try:
                with open(os.path.join(path, "new"), "w") as file:
                    file.write("x")
                written.append(path)
            except OSError:
                pass
        return written
    """


def test_only_its_own_places_can_be_written_to(sandboxed: Call) -> None:
    own = [".", "src", "/tmp", "/var/tmp", "/home/algo", "/dev/shm"]
    others = ["/", "/opt", "/usr", "/usr/lib", "/etc", "/etc/ssl", "/run", "/run/algo", "/opt/algo", "/home", "/var"]
    assert sandboxed(WRITE, [*others, *own, sys.base_prefix, "/proc/sys/kernel"]) == own


def test_it_is_nobody_with_rights(sandboxed: Call) -> None:
    code = """
        import os
        def apply(input):
            status, first = (
                dict(line.split(":", 1) for line in open(f"/proc/{pid}/status").read().splitlines()) for pid in ("self", 1)
            )
            refused = 0
            for forbidden in (lambda: os.setuid(0), lambda: os.chroot("."), lambda: os.kill(1, 9),
                              lambda: os.rename("/run/algo/answers", "/run/algo/x")):
                try:
                    forbidden()
                except OSError:
                    refused += 1
            return [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")] + [int(first["CapPrm"], 16),
                status["NoNewPrivs"].strip(), os.getuid() == 0 and os.stat("/").st_uid == 0, refused]
        """
    *capabilities, supervisors, no_new, is_root, refused = sandboxed(code)
    assert (capabilities, no_new, is_root) == ([0, 0, 0], "1", False)
    assert supervisors in (0, 0b11 << 6)  # the second to become somebody else, where the platform is root
    assert refused >= 3  # a signal to process 1 is ignored rather than refused, if both are the same user's


CONNECT = """
    import os, socket

    def apply(addresses):
        found = {}
        for address in [*addresses, os.environ["ALGORITHMIA_API"].removeprefix("http://")]:
            host, _, port = address.rpartition(":")
            try:
                with socket.create_connection((host, int(port)), timeout=2) as connection:
                    found[address] = connection.makefile().readline()
            except OSError as error:
                found[address] = type(error).__name__
        with open("/proc/net/dev") as file:
            interfaces = [line.partition(":")[0].strip() for line in file.readlines()[2:]]
        return [interfaces, sorted(found.items())]
    """


def test_an_isolated_algorithm_reaches_the_platform_and_nothing_else(sandboxed: Call, echo_server: Echo) -> None:
    machine = echo_server.address.removeprefix("http://")
    interfaces, found = sandboxed(CONNECT, [machine, "192.0.2.1:80", "localhost:9000"], network_access="isolated")
    assert [name for name in interfaces if name == "lo" or not name.startswith(("sit", "tunl", "ip6"))] == ["lo"]
    assert dict(found) == {
        machine: "ConnectionRefusedError",
        "192.0.2.1:80": "OSError",
        "localhost:9000": "platform\n",
        "127.0.0.1:9000": "platform\n",
    }
    interfaces, found = sandboxed(CONNECT, [machine])
    assert dict(found) == {machine: "machine\n"}


def test_an_algorithm_that_must_be_isolated_is_not_run_where_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, processes: Path, build: Callable[..., Build], echo_server: Echo
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    executor = LocalPool(lambda: echo_server, processes)
    made = replace(build("def apply(input):\n    return 1\n"), network_access="isolated")
    outcome = executor.call(made, Payload("json", None), timeout=30, context=CONTEXT)
    executor.close()
    assert outcome.failure is not None
    assert outcome.failure.error_type == "SystemError"
    assert "may not use the network" in outcome.failure.message
    assert "ALGO_LOCAL_SANDBOX is off" in outcome.failure.message


def bwrap(directory: Path, text: str) -> str:
    program = directory / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            "echo 'bwrap: No permissions to create new namespace' >&2; exit 1",
            "bwrap: No permissions to create new namespace",
        ),
        ("exit 9", "exit code 9"),
        # A machine whose interpreter needs what the sandbox does not show.
        (
            "echo 'python3: error while loading libpython3.so' >&2; exit 127",
            "python3: error while loading libpython3.so",
        ),
    ],
)
def test_a_bubblewrap_that_does_not_work_here_is_told_and_done_without(
    program: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    processes: Path,
    build: Callable[..., Build],
    echo_server: Echo,
) -> None:
    monkeypatch.setenv("PATH", bwrap(tmp_path, program))
    assert protection(tmp_path).sandbox is None
    assert protection(tmp_path).reason == f"bubblewrap does not work here: {reason}"
    made, call = build("def apply(input):\n    return 1\n"), Payload("json", None)
    executor = LocalPool(lambda: echo_server, processes)
    assert executor.call(made, call, timeout=60, context=CONTEXT).result == Payload("json", 1)
    executor.close()
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "required")
    executor = LocalPool(lambda: echo_server, processes)
    failures = [executor.call(made, call, timeout=60, context=CONTEXT).failure for _ in range(2)]
    executor.close()
    for failure in failures:
        assert failure is not None
        assert failure.message == (
            f"No algorithm may run without a sandbox, and none is available: bubblewrap does not work here: {reason}"
        )
    assert list(processes.glob("p-*")) == []


def test_one_sandbox_that_cannot_be_made_is_told_and_not_done_without(
    sandboxed: Call, monkeypatch: pytest.MonkeyPatch, processes: Path, build: Callable[..., Build], echo_server: Echo
) -> None:
    """What bubblewrap refuses in one case takes the sandbox away from none."""
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX_PATHS", "/etc/hostname")
    before = len(os.listdir("/proc/self/fd"))
    executor = LocalPool(lambda: echo_server, processes)
    made, call = build("def apply(input):\n    return 1\n"), Payload("json", None)
    monkeypatch.setattr(
        "algo_local.execution.workers.sandbox._share", lambda shared: ["--ro-bind", "/nonexistent", "/x"]
    )
    failure = executor.call(made, call, timeout=60, context=CONTEXT).failure
    executor.close()
    assert failure is not None
    assert failure.error_type == "SystemError"
    assert "could not be started: bwrap: Can't find source path /nonexistent" in failure.message
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert list(processes.glob("p-*")) == []


def test_where_it_is_missing_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert protection(tmp_path).reason == "bubblewrap is not installed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALGO_LOCAL_SANDBOX", "yes"),
        ("ALGO_LOCAL_SANDBOX_PATHS", "models"),
        ("ALGO_LOCAL_SANDBOX_PATHS", "/models=write"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=name):
        protection(tmp_path, {"PATH": os.environ["PATH"], name: value})


def test_further_paths_can_be_shown_and_the_platforms_state_never_is_among_them(
    sandboxed: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_paths("/a:/b c=rw:/d=ro") == (Shared(Path("/a")), Shared(Path("/b c"), True), Shared(Path("/d")))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.bin").write_text("weights")
    (tmp_path / "root").mkdir(exist_ok=True)
    (tmp_path / "root" / "platform.sqlite3").write_text("hush")
    tmp_path.chmod(0o755)
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX_PATHS", f"{tmp_path}:/nonexistent/path")
    paths = [tmp_path / "models" / "m.bin", tmp_path / "root"]
    assert list(sandboxed(READ, [*map(str, paths)]).values()) == ["weights", []]
    assert sandboxed(WRITE, [str(tmp_path / "models")]) == []


def test_requirements_are_there_and_cannot_be_changed(
    sandboxed: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the programs that they bring, and with a file creation mask that keeps others out."""
    package = tmp_path / "greeting"
    package.mkdir()
    (package / "greeting.py").write_text("def main():\n    print('hi')\n")
    (package / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='greeting', version='1', py_modules=['greeting'], "
        "entry_points={'console_scripts': ['greet=greeting:main']})\n"
    )
    code = """
        import greeting, os, subprocess, sys
        def apply(input):
            try:
                open(greeting.__file__, "a")
            except OSError as error:
                return [error.strerror, subprocess.run(["greet"], capture_output=True, text=True).stdout]
        """
    mask = os.umask(0o077)
    try:
        answer = sandboxed(code, **{"requirements.txt": str(package)})
    finally:
        os.umask(mask)
    assert answer[0] in ("Read-only file system", "Permission denied")
    assert answer[1] == "hi\n"
