"""A served machine is killed at any moment of a push: its repository is the old one or the new one, on all machines.

`--cluster-kills` is how often; the process kills itself at a counted event, such as a statement of SQL or a new file.
The object store is a real one, and so is git.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doomed import Doomed
from support.kills import copy_key, shared_state, without_sandbox
from support.postgresql import PostgresqlServer
from support.programs import needs

from algo_local.algorithms.builds import IN_PROGRESS
from algo_local.algorithms.lifecycle import create
from algo_local.algorithms.registry import Algorithm
from algo_local.data.shared_repositories import REPOSITORIES
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.state import State
from algo_local.web.app import Application

STARTING = 40
"""Events before a server answers."""


class Author:
    """Pushes commits from a clone with git itself."""

    def __init__(self, directory: Path) -> None:
        needs("git")
        self.clone = directory / "clone"
        self._environ = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
            **{f"GIT_{who}_{what}": "a@x.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }  # fmt: skip

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        where = self.clone if self.clone.exists() else self.clone.parent
        return subprocess.run(
            ["git", *words], cwd=where, env=self._environ, capture_output=True, text=True, check=False, timeout=120
        )

    def commit(self) -> str:
        """A commit of a file that does not compress; its id."""
        (self.clone / "noise").write_bytes(random.randbytes(1 << 16))
        assert self.git("add", "-A").returncode == 0
        assert self.git("commit", "-qm", "New").returncode == 0
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, remote: str) -> subprocess.CompletedProcess[str]:
        return self.git("push", remote, "HEAD:refs/heads/master")


@contextlib.contextmanager
def served(platform: Platform, key: str) -> Iterator[str]:
    """Serve a machine in this process; the address of the repository."""
    failures: list[str] = []
    listener = listen("127.0.0.1", 0)
    server = Server(Application(platform, on_failure=failures.append), listener, on_failure=failures.append)
    server.run()
    try:
        yield f"http://git:{key}@127.0.0.1:{listener.getsockname()[1]}/git/alice/New.git"
    finally:
        platform.wait_for_background()
        server.stop()
    assert failures == []


def push_to_doomed(doomed: Doomed, words: list[str], author: Author, key: str, last: int) -> tuple[bool, bool]:
    """Push to a server that is killed at an event, 0 for never; whether it was, and whether the push succeeded."""
    process = doomed.start("local", "serve", "--port", "0", *words, last=last)
    ends = time.monotonic() + 60
    while not (match := re.search(r"^Serving on http://(\S+)$", doomed.said(), re.MULTILINE)):
        assert time.monotonic() < ends, doomed.said()
        time.sleep(0.01)
    pushed = author.push(f"http://git:{key}@{match[1]}/git/alice/New.git")
    assert last or pushed.returncode == 0, pushed.stderr
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    return doomed.end()[0] == -signal.SIGKILL, pushed.returncode == 0


def check(platforms: tuple[Platform, Platform], algorithm: Algorithm, allowed: set[str]) -> str:
    """All machines have the same commit, one of these, with all that it is of; which one."""
    found = set()
    for platform in platforms:
        newest = platform.repositories.newest(algorithm)
        found.add(newest)
        with platform.repositories.checkout(algorithm, newest) as directory:
            assert (directory / "src" / "New.py").is_file()
    (commit,) = found
    assert commit in allowed
    return commit


def test_a_machine_is_killed_during_pushes(
    postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    kills = int(pytestconfig.getoption("--cluster-kills"))
    without_sandbox(tmp_path, monkeypatch)
    author = Author(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.enter_context(shared_state(tmp_path, postgresql, monkeypatch))
        database, store = (os.environ[f"ALGO_LOCAL_{name}"] for name in ("METADATA", "OBJECTS"))
        one = open_platform(State(tmp_path / "one", database, store))
        stack.callback(one.close)
        one.ensure_key()
        copy_key(tmp_path / "one", tmp_path / "two")
        two = open_platform(State(tmp_path / "two", database, store))
        stack.callback(two.close)
        one.metadata.ensure_account("alice")
        algorithm = create(one.registry, "alice", "New", {"source_visibility": "closed", "license": "apl"})
        key = one.keys.create("alice", "test")[1]
        doomed = Doomed(dict(os.environ), tmp_path)
        stack.callback(doomed.close)
        remote = stack.enter_context(served(two, key))
        cloned = author.git("clone", remote, str(author.clone))
        assert cloned.returncode == 0, cloned.stderr
        (author.clone / "requirements.txt").unlink()

        words = ["--metadata", database, "--objects", store]
        new = author.commit()
        push_to_doomed(doomed, words, author, key, 0)
        old = check((one, two), algorithm, {new})
        chance, events, killed = random.Random(doomed.events), doomed.events - STARTING, 0
        for number in range(kills):
            new = author.commit()
            last = STARTING + 1 + int((number + chance.random()) * events / kills)
            is_killed, is_pushed = push_to_doomed(doomed, words, author, key, last)
            killed += is_killed
            found = check((one, two), algorithm, {new} if is_pushed else {old, new})
            one.pending_builds.begin_all()
            one.wait_for_background()
            assert one.registry.build(algorithm, found), f"what was pushed is not built: killed at {last}"
            assert all(build.status != IN_PROGRESS for build in one.builds.of(algorithm))
            old = author.commit()
            pushed = author.push(remote)
            assert pushed.returncode == 0, (last, pushed.stderr)
            two.wait_for_background()
            check((one, two), algorithm, {old})
        assert killed > kills // 2, "or else this would test nothing"
        stored, named = set(one.objects.names(REPOSITORIES)), _named(one, algorithm)
        assert named <= stored
        assert len(stored - named) <= killed, "what a killed process has stored is pruned later"


def _named(platform: Platform, algorithm: Algorithm) -> set[str]:
    assert platform.shared_repositories
    return set((platform.shared_repositories.current(algorithm.id) or "").split())
