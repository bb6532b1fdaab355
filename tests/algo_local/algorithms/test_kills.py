"""Processes killed during builds and publications: no half version appears, and none that was acknowledged is lost.

`--kills` is how often in all; `make kills` does it fifty times. A process kills itself at the
counted event: before a file is made, renamed or removed, a program started or a statement of SQL executed.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from dulwich.objects import Blob
from support.doomed import Doomed
from support.world import archive

from algo_core.errors import ExitCode
from algo_local.algorithms.directory_publication import Wish
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.execution.payload import Payload
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.pruning import Pruning
from algo_local.sample_runs import call

ONLY_ON_SQLITE = True

NAME = "jane/Number"


@dataclass
class Author:
    """Publishes directories whose algorithms return a number, some of which require a package."""

    root: Path
    platform_root: Path
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The numbers by versions that were told to be published."""
    number: int = 0

    def write(self) -> Path:
        """The next directory."""
        self.number += 1
        directory = self.root / "algorithm"
        (directory / "src").mkdir(parents=True, exist_ok=True)
        (directory / "src" / "__init__.py").touch()
        code = f"def apply(input):\n    return {self.number}\n"
        requirements = ""
        if self.number % 3 == 0:
            version = f"1.{self.number}"
            with zipfile.ZipFile(self.root / "wheels" / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
                info = f"tiny-{version}.dist-info"
                wheel.writestr("tiny.py", f"NUMBER = {self.number}\n")
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
                wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                wheel.writestr(f"{info}/RECORD", "")
            code = "import tiny\n\ndef apply(input):\n    return tiny.NUMBER\n"
            requirements = f"tiny=={version}\n"
        (directory / "src" / "Number.py").write_text(code)
        (directory / "requirements.txt").write_text(requirements)
        return directory

    def check(self) -> None:
        """All that was acknowledged is there and works, and so does whatever else appears; then publish once more."""
        platform = open_platform(self.platform_root)
        try:
            found = self._versions(platform)
            assert self.acknowledged.items() <= found.items()
            published, _ = platform.publish_directory(self.root / "algorithm", "jane", "Number", Wish())
            found = self._versions(platform)
            assert found[published.text] == self.number
            self.acknowledged = found
        finally:
            platform.close()

    def _versions(self, platform: Platform) -> dict[str, int]:
        """What the versions return: of the ones that are new, by calling them, of others as their files say."""
        algorithm = platform.registry.algorithm("jane", "Number")
        found = {}
        for version in platform.registry.versions(algorithm) if algorithm else []:
            if version.text in self.acknowledged:
                assert (version.build.source / "src" / "Number.py").is_file()
                assert version.build.python is None or version.build.python.exists()
                found[version.text] = self.acknowledged[version.text]
            else:
                outcome = call(platform, platform.runnable(version), Payload("json", 0), ("jane", "Number"))
                assert outcome.result, outcome.failure
                found[version.text] = int(outcome.result.data)
        return found


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    """How often each of the two ways of publishing is killed."""
    return int(pytestconfig.getoption("--kills")) // 2


@pytest.fixture
def author(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Author:
    (tmp_path / "wheels").mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PYTHON_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("ALGO_LOCAL_KEEP_SECONDS", "0")
    monkeypatch.setenv("ALGO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))
    return Author(tmp_path, root)


@pytest.fixture
def doomed(author: Author, tmp_path: Path) -> Iterator[Doomed]:
    made = Doomed(dict(os.environ), tmp_path)
    yield made
    made.close()


def moments(events: int, count: int) -> list[int]:
    """Numbers of events, spread over all of them; the same in each run."""
    chance = random.Random(events)
    return [1 + int((index + chance.random()) * events / count) for index in range(count)]


def processes_of(root: Path) -> list[str]:
    """The command lines of other processes that have to do with a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = path.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(root) in command and int(path.name) != os.getpid() and "(deleted)" not in command:
                found.append(command)
        except OSError:
            continue
    return found


def check_nothing_is_left(root: Path) -> None:
    """No process, and nothing on the disk that pruning does not take or a version does not need."""
    ends = time.monotonic() + 60
    while found := processes_of(root):
        assert time.monotonic() < ends, found
        time.sleep(0.02)
    platform = open_platform(root)
    try:
        Pruning(platform, older_than=0).run()
        named = {
            version.build.source.name
            for version in platform.registry.versions(platform.registry.algorithm("jane", "Number"))
        }
        algorithm = platform.registry.algorithm("jane", "Number")
        assert algorithm
        assert {build.status for build in platform.builds.of(algorithm)} == {"succeeded"}
        trees = {path.name for path in (root / "sources").iterdir() if path.is_dir()}
        assert {name for name in trees if name.startswith(".")} == set()
        assert named <= trees
        for name in ("incoming", "trash", "processes", "sessions", "drafts", "packages"):
            left = [path.name for path in (root / name).glob("*") if path.name != ".lock"]
            assert left == [] or (name == "processes" and len(left) <= 1), (name, left)
        assert [path.name for path in (root / "repositories").glob(".checkout-*")] == []
        assert Pruning(platform, older_than=0, dry_run=True).run() == []
    finally:
        platform.close()


def test_a_command_that_publishes_is_killed(author: Author, doomed: Doomed, root: Path, kills: int) -> None:
    def publish(last: int = 0) -> bool:
        doomed.start("local", "publish", author.write(), NAME, last=last)
        code, said = doomed.end()
        for version in re.findall(rf"^Published {NAME}/(\S+)$", said, re.MULTILINE):
            author.acknowledged[version] = author.number
        assert code == ExitCode.OK or (last and code == -signal.SIGKILL), said
        return code < 0

    events = []
    for _ in range(3):
        publish()
        events.append(doomed.events)
    assert min(events) > 20, events
    killed = 0
    for last in moments(max(events[1:]), kills):
        killed += publish(last)
        author.check()
    assert killed > kills // 2, "or else this would test nothing"
    check_nothing_is_left(root)


class Served:
    """A served platform that is killed at a counted event, and a client of it."""

    def __init__(self, doomed: Doomed, last: int, key: str) -> None:
        self.pid = doomed.start("local", "serve", "--port", "0", last=last)
        ends = time.monotonic() + 60
        while not (match := re.search(r"^Serving on (\S+)$", doomed.said(), re.MULTILINE)):
            assert time.monotonic() < ends, doomed.said()
            time.sleep(0.01)
        self._address = match[1]
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Simple {key}"

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """What was acknowledged; raises ConnectionError or ChunkedEncodingError if it was killed meanwhile."""
        answered = self._session.request(method, f"{self._address}/v1/algorithms/{path}", timeout=60, **options)
        assert answered.status_code == 200, answered.text
        return answered.json()

    def publish(self, directory: Path) -> str:
        """Commit, build and publish a directory; the version's number."""
        files = {
            name: (directory / name).read_text() for name in ("src/__init__.py", "src/Number.py", "requirements.txt")
        }
        self.ask("PUT", f"{NAME}/source", data=archive(files))
        assert self.ask("POST", f"{NAME}/compile", json={})["compilation"]["successful"]
        body = {"version_info": {"version_type": "minor"}, "settings": {"algorithm_callability": "public"}}
        return str(self.ask("POST", f"{NAME}/versions", json=body)["version_info"]["semantic_version"])


def test_a_served_platform_is_killed(author: Author, doomed: Doomed, root: Path, kills: int) -> None:
    platform = open_platform(root)
    key = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    platform.publish_directory(author.write(), "jane", "Number", Wish())
    author.acknowledged["0.1.0"] = author.number
    platform.close()

    def publish(last: int = 0) -> bool:
        directory = author.write()
        served = Served(doomed, last, key)
        try:
            author.acknowledged[served.publish(directory)] = author.number
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            pass
        with contextlib.suppress(ProcessLookupError):
            os.kill(served.pid, signal.SIGTERM)
        return doomed.end()[0] < 0

    publish()
    started = 40
    killed = 0
    for last in moments(doomed.events - started, kills):
        killed += publish(last + started)
        author.check()
    assert killed > kills // 2, "or else this would test nothing"
    check_nothing_is_left(root)


def test_installers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from algo_local.algorithms.installation.installing import run\n"
        "run([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'],"
        " Path(sys.argv[1]), 'Waiting', lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout
        installer = int(started.stdout.readline())
        started.kill()
    ends = time.monotonic() + 60
    while is_running(installer):
        assert time.monotonic() < ends
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_locks_of_git_do_not_outlive_the_process_that_took_them(platform: Platform, author: Author) -> None:
    platform.publish_directory(author.write(), "jane", "Number", Wish())
    algorithm = platform.registry.algorithm("jane", "Number")
    assert algorithm
    first = platform.repositories.newest(algorithm)
    repository = platform.repositories.path(algorithm.id)
    entries = [TreeEntry("src/Number.py", FILE, b"def apply(input):\n    return 9\n")]
    blob = Blob.from_string(entries[0].content).id.decode()
    stale = ["HEAD", "refs/heads/master", "packed-refs", "config", f"objects/{blob[:2]}/{blob[2:]}"]
    for name in stale:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / f"{name}.lock").touch()
    (repository / "objects" / "pack" / "tmp_pack_x").touch()
    made = platform.repositories.commit(algorithm, entries, "jane", "After the end of another")
    assert platform.repositories.newest(algorithm) == made != first
    assert [*repository.rglob("*.lock"), *repository.rglob("tmp_pack_*")] == []
