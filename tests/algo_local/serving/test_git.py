"""Repositories of algorithms over git's smart HTTP protocol, with git itself (API section 6.5)."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from support.programs import needs

from algo_local.algorithms.lifecycle import create, update
from algo_local.platform import Platform

SOURCE = "def apply(input):\n    return 'pushed ' + input\n"
SETTINGS = {"source_visibility": "closed", "license": "apl"}
Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def key(platform: Platform) -> Callable[[str], str]:
    return lambda name: platform.keys.create(platform.metadata.ensure_account(name), "test")[1]


@pytest.fixture
def remote_for(platform: Platform, address: str, key: Callable[[str], str]) -> Callable[[str], str]:
    """The address of alice's algorithm for an account: `remote("alice")`; for nobody if that is empty."""
    platform.metadata.ensure_account("alice")
    create(platform.registry, "alice", "New", SETTINGS)

    def remote(name: str, algorithm: str = "alice/New") -> str:
        host = address.removeprefix("http://")
        return f"http://{f'git:{key(name)}@' if name else ''}{host}/git/{algorithm}.git"

    return remote


@pytest.fixture
def git(tmp_path: Path) -> Git:
    needs("git")
    home = tmp_path / "git-home"
    home.mkdir()
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
        **{f"GIT_{who}_{what}": "a@x.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip

    def git(*words: str | Path, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *map(str, words)], cwd=cwd, env=environ, capture_output=True, text=True, check=False
        )

    return git


@pytest.fixture
def cloned(git: Git, remote_for: Callable[[str], str], tmp_path: Path) -> Path:
    done = git("clone", remote_for("alice"), "New")
    assert done.returncode == 0, done.stderr
    (tmp_path / "New" / "requirements.txt").unlink()
    return tmp_path / "New"


def commit(git: Git, clone: Path, text: str) -> str:
    (clone / "src" / "New.py").write_text(text)
    assert git("commit", "-qam", "Change", cwd=clone).returncode == 0
    return git("rev-parse", "HEAD", cwd=clone).stdout.strip()


def test_a_push_is_built(platform: Platform, git: Git, cloned: Path, account: Any) -> None:
    assert "apply" in (cloned / "src" / "New.py").read_text(), "the template"
    made = commit(git, cloned, SOURCE)
    pushed = git("push", cwd=cloned)
    assert pushed.returncode == 0, pushed.stderr
    assert f"remote: Building alice/New {made[:12]}" in pushed.stderr
    alice = account("alice")
    listed = alice("GET", "algorithms/alice/New/builds").json()["results"]
    assert [build["commit_sha"] for build in listed] == [made], "at once"
    platform.wait_for_background()
    assert alice.run(f"alice/New/{made}").json()["result"] == "pushed x"
    commits = alice("GET", "algorithms/alice/New/log").json()["commits"]
    assert next(entry["id"] for entry in commits) == made
    assert commits[0]["author"] == "a@x.test <a@x.test>"


def test_what_was_committed_elsewhere_is_fetched(platform: Platform, git: Git, cloned: Path) -> None:
    algorithm = platform.registry.algorithm("alice", "New")
    assert algorithm
    from algo_local.algorithms.source_trees.archives import FILE, TreeEntry

    platform.repositories.commit(algorithm, [TreeEntry("src/New.py", FILE, SOURCE.encode())], "alice", "Uploaded")
    commit(git, cloned, "# mine\n")
    assert "fetch first" in git("push", cwd=cloned).stderr
    assert git("pull", "-q", "--rebase", "-Xtheirs", cwd=cloned).returncode == 0
    assert git("push", cwd=cloned).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["push", "--force", "origin", "HEAD~1:master"], "history cannot be rewritten"),
        (["push", "origin", ":master"], "the default branch cannot be deleted"),
        (["push", "origin", "HEAD:refs/elsewhere/x"], "only branches and tags are kept"),
    ],
)
def test_pushes_that_are_refused(git: Git, cloned: Path, words: list[str], said: str) -> None:
    commit(git, cloned, SOURCE)
    assert git("push", cwd=cloned).returncode == 0
    before = git("ls-remote", cwd=cloned).stdout
    refused = git(*words, cwd=cloned)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert git("ls-remote", cwd=cloned).stdout == before


def test_a_push_of_any_size_comes_in_pieces(git: Git, cloned: Path, platform: Platform) -> None:
    (cloned / "model").write_bytes(os.urandom(3 << 20))  # beyond git's buffer: sent in chunks
    git("add", "model", cwd=cloned)
    commit(git, cloned, SOURCE)
    assert git("push", cwd=cloned).returncode == 0
    platform.wait_for_background()
    algorithm = platform.registry.algorithm("alice", "New")
    assert algorithm
    built = platform.registry.newest_build(algorithm)
    assert built
    assert (built.build.source / "model").stat().st_size == 3 << 20


def test_branches_and_tags_come_and_go(platform: Platform, git: Git, cloned: Path) -> None:
    commit(git, cloned, SOURCE)
    pushed = git("push", "origin", "HEAD:refs/heads/other", "HEAD:refs/tags/v1", cwd=cloned)
    assert pushed.returncode == 0
    assert "Building" not in pushed.stderr, "only the default branch is built"
    assert git("push", "origin", ":other", cwd=cloned).returncode == 0
    assert "refs/tags/v1" in git("ls-remote", cwd=cloned).stdout


def test_who_may_clone_and_push(
    platform: Platform, git: Git, remote_for: Callable[..., str], publish: Any, tmp_path: Path
) -> None:
    for who in ("", "bob"):
        assert git("ls-remote", remote_for(who)).returncode != 0, "it does not exist for them"
    publish("alice/Public", SOURCE)
    assert "403" in git("ls-remote", remote_for("bob", "alice/Public")).stderr, "it is not open source"
    algorithm = platform.registry.algorithm("alice", "Public")
    assert algorithm
    update(platform.registry, algorithm, {"source_visibility": "open", "license": "mit"})
    assert git("clone", remote_for("bob", "alice/Public"), "Public").returncode == 0
    (tmp_path / "Public" / "x").write_text("")
    git("add", "x", cwd=tmp_path / "Public")
    git("commit", "-qm", "x", cwd=tmp_path / "Public")
    assert "403" in git("push", cwd=tmp_path / "Public").stderr
    assert git("ls-remote", remote_for("alice", "alice/Nothing")).returncode != 0


def test_what_git_never_asks(
    platform: Platform, address: str, remote_for: Callable[..., str], key: Callable[[str], str]
) -> None:
    auth = ("git", key("alice"))
    base = f"{address}/git/alice/New.git"
    assert requests.get(f"{base}/info/refs?service=git-upload-pack").status_code == 401
    assert "Basic" in requests.get(f"{base}/info/refs?service=git-upload-pack").headers["WWW-Authenticate"]
    for path in (
        "/info/refs",
        "/info/refs?service=git-evil",
        "/HEAD",
        "/objects/info/packs",
        "/../../platform.sqlite3",
    ):
        assert requests.get(f"{base}{path}", auth=auth).status_code == 404, path
    for service in ("git-upload-pack", "git-receive-pack"):
        for body in (b"", b"0000", b"garbage", b"ffff", b"0032want " + b"f" * 40, b"\x00" * 1000, b"0004" * 10):
            answer = requests.post(f"{base}/{service}", body, auth=auth)
            assert answer.status_code in {200, 400}, (service, body, answer.text)
            packed = requests.post(
                f"{base}/{service}", gzip.compress(body), auth=auth, headers={"Content-Encoding": "gzip"}
            )
            assert packed.status_code == answer.status_code
        torn = requests.post(f"{base}/{service}", b"xx", auth=auth, headers={"Content-Encoding": "gzip"})
        assert torn.status_code == 400
    bomb = gzip.compress(b"\0" * (130 << 20))
    assert (
        requests.post(f"{base}/git-receive-pack", bomb, auth=auth, headers={"Content-Encoding": "gzip"}).status_code
        == 413
    )
