"""Sources are committed, commits are compiled, and builds are published (API section 6)."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs
from support.world import ECHO, Answer, World, archive, publish

from algo_local.algorithms.publication import next_number

SETTINGS = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
NEW = {"name": "New", "details": {"label": "New"}, "settings": SETTINGS}
PATH = "algorithms/alice/New"
FIRST = "def apply(input):\n    return 'first ' + input\n"
SECOND = "def apply(input):\n    return 'second ' + input\n"


@pytest.fixture
def made(fresh: Callable[[], World]) -> World:
    """A world with an algorithm of alice's that has sources and nothing else."""
    world = fresh()
    assert world.ask("POST", "algorithms/alice", "alice", NEW).status == 201
    upload(world, FIRST)
    return world


def upload(world: World, code: str, path: str = PATH, **files: str) -> Any:
    name = path.rpartition("/")[2]
    answer = world.ask("PUT", f"{path}/source", "alice", archive({f"src/{name}.py": code, **files}))
    assert answer.status == 200, answer.body
    return answer.json


def compile_(world: World, path: str = PATH, caller: str = "alice", **body: str) -> Any:
    answer = world.ask("POST", f"{path}/compile", caller, body)
    assert answer.status == 200, answer.body
    return answer.json


def publish_newest(world: World, caller: str = "alice", path: str = PATH, **body: Any) -> Answer:
    return world.ask("POST", f"{path}/versions", caller, {"details": {}, "settings": {}, "version_info": {}, **body})


def call(world: World, reference: str, caller: str = "alice") -> Any:
    answer = world.ask("POST", f"algo/{reference}", caller, "x")
    return answer.json["result"] if answer.status == 200 else answer.status


def test_a_commit_is_built_called_and_published(made: World) -> None:
    built = compile_(made)
    commit = built["version_info"]["git_hash"]
    assert built["compilation"]["successful"]
    assert "Built alice/New" in built["compilation"]["output"]
    assert (built["build"]["status"], built["build"]["commit_sha"]) == ("succeeded", commit)
    assert built["self_link"].endswith(f"/v1/algorithms/alice/New/versions/{commit}")
    assert call(made, f"alice/New/{commit}") == "first x", "before it is published"
    assert call(made, f"alice/New/{commit}", "bob") == 404
    assert call(made, "alice/New") == 404
    published = publish_newest(
        made,
        version_info={
            "version_type": "minor",
            "release_notes": "The first",
            "sample_input": '"x"',
            "sample_output": "1",
        },
        settings={"algorithm_callability": "public"},
        details={"tagline": "It says first"},
        source={},
        scmsCredentials=None,
    )
    assert published.status == 200, published.body
    info = published.json["version_info"]
    assert {name: info[name] for name in ("semantic_version", "git_hash", "release_notes", "sample_input")} == {
        "semantic_version": "0.1.0", "git_hash": commit, "release_notes": "The first", "sample_input": '"x"',
    }  # fmt: skip
    assert info["sample_output"] == "1"
    assert published.json["details"]["tagline"] == "It says first"
    assert published.json["build"]["build_id"] == built["build"]["build_id"]
    assert call(made, "alice/New", "bob") == "first x"
    assert made.ask("GET", f"{PATH}/versions/{commit}", "alice").json == published.json
    assert made.ask("GET", f"{PATH}/builds", "alice").json["results"][0]["version_info"] == {
        "semantic_version": "0.1.0"
    }
    again = publish_newest(made)
    assert (again.status, again.error["code"]) == (400, 1007)


def test_what_runs_already_is_not_built_again(made: World) -> None:
    first = compile_(made)
    assert compile_(made) == first
    assert upload(made, FIRST)["id"] == first["build"]["commit_sha"], "equal files are the same commit"
    second = upload(made, SECOND)["id"]
    assert compile_(made)["build"]["commit_sha"] == second
    assert compile_(made, commitSha=first["build"]["commit_sha"]) == first
    assert [call(made, f"alice/New/{commit}") for commit in (first["build"]["commit_sha"], second)] == [
        "first x", "second x",
    ]  # fmt: skip
    assert len(made.ask("GET", f"{PATH}/builds", "alice").json["results"]) == 2


@pytest.mark.parametrize(("language", "program", "ending"), [("javascript", "node", "js"), ("r", "Rscript", "R")])
def test_an_algorithm_in_another_language_begins_with_its_template(
    made: World, language: str, program: str, ending: str
) -> None:
    needs(program)
    settings = {**SETTINGS, "language": language}
    assert made.ask("POST", "algorithms/alice", "alice", {**NEW, "name": "Script", "settings": settings}).status == 201
    built = compile_(made, "algorithms/alice/Script")
    assert f"module src/Script.{ending}" in built["compilation"]["output"]
    assert call(made, f"alice/Script/{built['version_info']['git_hash']}") == "hello x"
    published = publish_newest(made, path="algorithms/alice/Script").json
    assert published["settings"]["language"] == language
    upload(made, FIRST, "algorithms/alice/Script")
    compile_(made, "algorithms/alice/Script")
    published = publish_newest(made, path="algorithms/alice/Script").json
    assert published["settings"]["language"] == "python3", "of what was built, whatever was chosen at first"


def test_builds_at_once_are_one(made: World) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(compile_(made)["build"]["build_id"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_build_whose_files_are_gone_is_made_again(made: World) -> None:
    from algo_local.trees import remove_tree

    built = compile_(made)
    publish_newest(made)
    algorithm = made.platform.registry.algorithm("alice", "New")
    assert algorithm
    (version,) = made.platform.registry.versions(algorithm)
    remove_tree(version.build.source)
    assert compile_(made)["build"]["build_id"] == built["build"]["build_id"]
    assert call(made, "alice/New/0.1.0") == "first x"


@pytest.mark.parametrize(
    ("code", "files", "said"),
    [
        ("def apply(input:\n", {}, "src/New.py, line 1: "),
        ("x = 1\n", {}, "has no entry point"),
        (ECHO, {"requirements.txt": "no-such-file.whl\n"}, "no-such-file.whl"),
        (ECHO, {"algorithmia.conf": '{"language": "java11"}'}, "holds one in Java"),
        (ECHO, {"algorithmia.conf": "{"}, "is not JSON"),
    ],
)
def test_a_failed_build_stays_with_its_log(made: World, code: str, files: dict[str, str], said: str) -> None:
    good = compile_(made)
    upload(made, code, **files)
    failed = compile_(made)
    assert failed["compilation"]["successful"] is False
    assert said in failed["compilation"]["output"]
    identifier = failed["build"]["build_id"]
    assert made.ask("GET", f"{PATH}/builds/{identifier}", "alice").json["status"] == "failed"
    assert said in made.ask("GET", f"{PATH}/builds/{identifier}/logs", "alice").json["logs"]
    assert call(made, f"alice/New/{failed['build']['commit_sha']}") == 404
    published = publish_newest(made).json
    assert published["version_info"]["git_hash"] == good["version_info"]["git_hash"], "the last that succeeded"


@pytest.mark.parametrize(
    "line",
    [
        ".", "-e .", "./wheels/x.whl", "x @ file:///etc/passwd", "https://evil.test/x.whl", "--index-url https://evil.test",
        "--no-binary :all:", "-r other.txt", "git+https://evil.test/x", "x-${SECRET}", "x \\\n--no-binary :all:",
    ],
)  # fmt: skip
def test_requirements_of_others_lead_nowhere_but_to_packages(made: World, line: str) -> None:
    upload(made, ECHO, **{"requirements.txt": f"# first\n{line}\n"})
    failed = compile_(made)
    assert "may name packages only here" in failed["compilation"]["output"]
    assert "algo local publish" in failed["compilation"]["output"]


BACKEND = """
open(MARKER, "w").close()

def build_wheel(directory, config_settings=None, metadata_directory=None):
    raise SystemExit(1)
"""


def test_builds_of_others_run_no_code_of_packages(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be built is a package of a person who means harm, on an index that all trust."""
    marker = tmp_path / "marker"
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "evil-1.0.tar.gz").write_bytes(
        archive({
            "evil-1.0/pyproject.toml": project,
            "evil-1.0/backend.py": BACKEND.replace("MARKER", repr(str(marker))),
            "evil-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
        })
    )  # fmt: skip
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "index"), "PIP_INDEX_URL": ""}.items():
        monkeypatch.setenv(name, value)
    upload(made, ECHO, **{"requirements.txt": "evil\n"})
    failed = compile_(made)
    assert not failed["compilation"]["successful"]
    assert "packages without a wheel are not built here" in failed["compilation"]["output"]
    assert not marker.exists()
    monkeypatch.setenv("ALGO_LOCAL_BUILD_CODE", "on")
    assert not compile_(made)["compilation"]["successful"]
    assert marker.exists(), "or else this would test nothing"


def test_a_log_is_there_while_its_build_runs(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def python_for(
        self: object, source: object, commit: str, report: Callable[[str], None], *, run_code: bool, **_: object
    ) -> object:
        report("Installing wheels")
        (build,) = made.ask("GET", f"{PATH}/builds", "alice").json["results"]
        path = f"{PATH}/builds/{build['build_id']}/logs"
        seen.extend((build["status"], made.ask("GET", path, "alice").status))
        seen.append(made.ask("GET", f"{path}?partial=true", "alice").json["logs"].splitlines()[-1])
        raise KeyError("broken")

    monkeypatch.setattr("algo_local.algorithms.installation.environments.Environments.python_for", python_for)
    with pytest.raises(AssertionError, match="broken"):  # which the world tells as a fault of the platform
        made.ask("POST", f"{PATH}/compile", "alice", {})
    made.failures.clear()
    assert seen == ["in-progress", 404, "Installing wheels"]
    (build,) = made.ask("GET", f"{PATH}/builds", "alice").json["results"]
    assert build["status"] == "failed", "whatever breaks, nobody waits for it"


KILLED = """
import os, signal, sys
from pathlib import Path
from algo_local.algorithms.installation.environments import Environments
from algo_local.platform import Platform

def python_for(self, source, commit, report, *, run_code, **_):
    report("Installing wheels")
    os.kill(os.getpid(), signal.SIGKILL)

Environments.python_for = python_for
platform = Platform(Path(sys.argv[1]))
platform.compiler.compile(platform.registry.algorithm("alice", "New"))
"""


def test_a_build_that_is_killed_is_known_to_have_ended_and_made_again(made: World) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(made.platform.root)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (build,) = made.ask("GET", f"{PATH}/builds", "alice").json["results"]
    assert build["status"] == "failed"
    lines = made.ask("GET", f"{PATH}/builds/{build['build_id']}/logs", "alice").json["logs"].splitlines()
    assert lines[-2:] == ["Installing wheels", "ERROR: the platform ended while this build ran: build it again"]
    assert publish_newest(made).error["code"] == 1010
    assert compile_(made)["compilation"]["successful"]
    assert [found["status"] for found in made.ask("GET", f"{PATH}/builds", "alice").json["results"]] == [
        "succeeded", "failed",
    ]  # fmt: skip
    leftovers = [path.name for path in (made.platform.root / "repositories").iterdir() if path.name.startswith(".")]
    assert len(leftovers) <= 1, "what a killed process was building in goes when it is a day old"


@pytest.mark.parametrize(
    ("kind", "before", "expected"),
    [
        ("minor", None, "0.1.0"),
        ("major", None, "1.0.0"),
        ("revision", None, "0.1.0"),
        ("patch", (1, 2, 9), "1.2.10"),
        ("revision", (1, 2, 9), "1.2.10"),
        ("minor", (1, 2, 9), "1.3.0"),
        ("major", (9, 2, 9), "10.0.0"),
    ],
)
def test_what_number_comes_next(kind: str, before: tuple[int, ...] | None, expected: str) -> None:
    assert ".".join(map(str, next_number(kind, before))) == expected


def test_numbers_and_visibility_go_on_from_the_version_before(made: World) -> None:
    def version(number: int, kind: str = "", callability: str = "", caller: str = "alice") -> Any:
        upload(made, f"# {number}\n{ECHO}")
        compile_(made)
        answer = publish_newest(
            made,
            version_info={"version_type": kind} if kind else {},
            settings={"algorithm_callability": callability} if callability else {},
        )
        if answer.status != 200:
            return answer.status, answer.error["code"]
        return answer.json["version_info"]["semantic_version"], answer.json["settings"]["algorithm_callability"]

    assert version(1, "major", "public") == ("1.0.0", "public")
    assert version(2, "patch") == ("1.0.1", "public")
    assert version(3, "revision", "private") == (400, 6001)
    assert version(3, "revision", "public") == ("1.0.2", "public")
    assert version(4) == ("1.1.0", "private"), "as the algorithm's settings say"
    assert version(5, "revision") == ("1.1.1", "private")
    made.ask("PUT", PATH, "alice", {"settings": {"algorithm_callability": "public"}})
    assert version(6) == ("1.2.0", "public")
    assert made.ask("DELETE", f"{PATH}/versions/1.2.0", "alice").status == 204
    again = publish_newest(made, version_info={"version_type": "revision"})
    assert again.json["version_info"]["semantic_version"] == "1.2.1", "a number is never used twice"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"version_info": {"version_type": "giant"}}, 6001),
        ({"version_info": {"release_notes": 7}}, 6001),
        ({"settings": {"license": "mit"}}, 6001),
        ({"settings": {"algorithm_callability": "everybody"}}, 6001),
        ({"details": {"label": "x" * 101}}, 6001),
    ],
)
def test_what_cannot_be_published_changes_nothing(made: World, body: dict[str, Any], code: int) -> None:
    assert publish_newest(made).error["code"] == 1010, "nothing is built"
    compile_(made)
    before = made.ask("GET", PATH, "alice").json
    answer = publish_newest(made, **body)
    assert (answer.status, answer.error["code"]) == (400, code)
    assert made.ask("GET", PATH, "alice").json == before


def test_settings_that_are_published_are_enforced(made: World) -> None:
    upload(made, "import socket\ndef apply(input):\n    return [name for _, name in socket.if_nameindex()]\n")
    compile_(made)
    answer = publish_newest(made, settings={"network_access": "isolated", "algorithm_callability": "public"})
    assert answer.json["settings"]["network_access"] == "isolated"
    algorithm = made.platform.registry.algorithm("alice", "New")
    assert algorithm
    assert made.platform.registry.versions(algorithm)[0].build.network_access == "isolated"


def test_members_publish_privately_only(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = "algorithms/acme/Team"
    assert compile_(world, path, "mia")["compilation"]["successful"]
    answer = publish_newest(world, "mia", path, settings={"algorithm_callability": "public"})
    assert (answer.status, answer.error["code"]) == (403, 2001)
    assert publish_newest(world, "mia", path).json["settings"]["algorithm_callability"] == "private"
    world.ask("PUT", f"{path}/source", "mia", archive({"src/Team.py": ECHO + "#\n"}))
    compile_(world, path, "mia")
    assert publish_newest(world, "alice", path, settings={"algorithm_callability": "public"}).status == 200


def test_commits_that_are_not_there(made: World) -> None:
    for commit in ("f" * 40, "master", "x" * 300, "../../etc/passwd"):
        assert made.ask("POST", f"{PATH}/compile", "alice", {"commitSha": commit}).status in {400, 404}
        assert made.ask("GET", f"{PATH}/source?commit={commit}", "alice").status == 404
        assert made.ask("GET", f"{PATH}/log?since={commit}", "alice").status == 404


def test_the_log_has_the_commits_newest_first(made: World) -> None:
    answer = made.ask("PUT", f"{PATH}/source?message=Say+second%0A%0AMore", "alice", archive({"src/New.py": SECOND}))
    commits = made.ask("GET", f"{PATH}/log", "alice").json["commits"]
    assert commits[0] == answer.json == {
        "id": commits[0]["id"], "short_message": "Say second", "message": "Say second\n\nMore", "author": "alice <alice>",
    }  # fmt: skip
    assert [commit["message"] for commit in commits[1:]] == ["Upload of an archive", "Initial commit"]
    second, first, initial = (commit["id"] for commit in commits)

    def log(query: str) -> list[str]:
        return [commit["id"] for commit in made.ask("GET", f"{PATH}/log?{query}", "alice").json["commits"]]

    assert log(f"since={first}") == [second, first]
    assert log(f"until={first}") == [first, initial]
    assert log(f"since={first}&until={first}") == [first]
    assert made.ask("GET", f"{PATH}/log", "bob").status == 404


def unpacked(content: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as found:
        return {
            member.name: member.linkname or (found.extractfile(member) or io.BytesIO()).read().decode()
            for member in found
            if not member.isdir()
        }


def test_a_repository_begins_with_what_there_was(fresh: Callable[[], World], tmp_path: Any) -> None:
    world = fresh()
    world.ask("POST", "algorithms/alice", "alice", NEW)
    template = unpacked(world.ask("GET", f"{PATH}/source", "alice").body)
    assert "apply" in template["New/src/New.py"]
    assert '"algoname": "New"' in template["New/algorithmia.conf"]
    published = world.ask("GET", "algorithms/alice/Algo/source", "alice")
    assert unpacked(published.body) == {"Algo/src/Algo.py": ECHO, "Algo/src/__init__.py": ""}
    publish(world.platform, tmp_path, "alice/Algo", public=True, version="1.1.0", code=FIRST)
    later = world.ask("GET", "algorithms/alice/Algo/source", "alice")
    assert unpacked(later.body)["Algo/src/Algo.py"] == FIRST, "as what is published from a directory later"
    assert world.ask("GET", f"algorithms/alice/Algo/source?commit={published.headers['X-Commit']}", "alice").body
    assert world.ask("GET", "algorithms/alice/Algo/source", "bob").status == 403


def test_everybody_who_sees_a_version_reads_its_readme(made: World) -> None:
    assert made.ask("GET", f"{PATH}/readme", "alice").status == 404, "it has no version"
    upload(made, FIRST, **{"README.md": "# New\n\nIt says first.\n", "docs/README.md": "other"})
    compile_(made)
    publish_newest(made)
    found = {"name": "README.md", "content": "# New\n\nIt says first.\n"}
    assert made.ask("GET", f"{PATH}/readme", "alice").json == found
    assert made.ask("GET", f"{PATH}/readme", "bob").status == 404
    upload(made, SECOND, ReadMe="second")
    compile_(made)
    publish_newest(made, settings={"algorithm_callability": "public"})
    assert made.ask("GET", f"{PATH}/readme", "bob").json == {"name": "ReadMe", "content": "second"}


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return buffer.getvalue()


def linked(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        made.addfile(member)
        file = tarfile.TarInfo("src/New.py")
        file.size = len(ECHO)
        made.addfile(file, io.BytesIO(ECHO.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        archive({"src/New.py": ECHO}, "w"),
        archive({"src/New.py": ECHO}, "w:bz2"),
        archive({"./src/New.py": ECHO}),
        archive({"New-main/src/New.py": ECHO, "New-main/README.md": "# New"}),
        zipped({"src/New.py": ECHO}),
        zipped({"New/src/New.py": ECHO, "New/src/other.py": ""}),
        linked("src/other.py", "New.py"),
    ],
)
def test_archives_of_any_kind(made: World, content: bytes) -> None:
    assert made.ask("PUT", f"{PATH}/source", "alice", content).status == 200
    built = compile_(made)
    assert built["compilation"]["successful"], built["compilation"]["output"]
    assert call(made, f"alice/New/{built['build']['commit_sha']}") == "x"


@pytest.mark.parametrize(
    "content",
    [
        archive({"../outside.py": ECHO}),
        archive({"/etc/outside.py": ECHO}),
        archive({"src/../../outside.py": ECHO}),
        archive({".git/hooks/post-receive": "#!/bin/sh"}),
        archive({"src/.GIT/config": ""}),
        archive({"a": "", "a/b": ""}),
        archive({"a\\b": ""}),
        archive({}),
        zipped({"../outside.py": ECHO}),
        linked("device", "", tarfile.CHRTYPE),
        linked("hard", "/etc/passwd", tarfile.LNKTYPE),
        archive({"src/New.py": ECHO})[:60],
        zipped({"src/New.py": ECHO})[:-30],
        b"\x1f\x8b" + b"x" * 100,
    ],
)
def test_archives_that_are_refused(made: World, content: bytes) -> None:
    before = made.ask("GET", f"{PATH}/log", "alice").json
    answer = made.ask("PUT", f"{PATH}/source", "alice", content)
    assert (answer.status, answer.error["code"]) == (400, 3106), answer.body
    assert made.ask("GET", f"{PATH}/log", "alice").json == before


def test_archives_that_are_too_large(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algo_local.algorithms.source_trees.archives.CONTENT_BYTES", 1000)
    monkeypatch.setattr("algo_local.algorithms.source_trees.archives.MAX_FILES", 3)
    for content in (
        archive({"a": "x" * 600, "b": "x" * 600}),
        archive(dict.fromkeys("abcd", "")),
        zipped({"a": "x" * 600, "b": "x" * 600}),
    ):
        answer = made.ask("PUT", f"{PATH}/source", "alice", content)
        assert (answer.status, answer.error["code"]) == (400, 3106)
        assert "too large" in answer.error["message"]
    monkeypatch.setattr("algo_local.algorithms.source_trees.archives.ARCHIVE_BYTES", 50)
    assert made.ask("PUT", f"{PATH}/source", "alice", archive({"a": ""})).status == 413


def test_links_out_of_the_tree_are_not_built(made: World) -> None:
    assert made.ask("PUT", f"{PATH}/source", "alice", linked("src/secret.py", "/etc/passwd")).status == 200
    failed = compile_(made)
    assert not failed["compilation"]["successful"]
    assert "points outside the algorithm's directory" in failed["compilation"]["output"]
    assert "root:" not in failed["compilation"]["output"]


def test_a_deleted_algorithm_leaves_no_repository(made: World) -> None:
    compile_(made)
    algorithm = made.platform.registry.algorithm("alice", "New")
    assert algorithm
    repositories = made.platform.root / "repositories"
    before = {path.name for path in repositories.iterdir()}
    assert made.ask("DELETE", PATH, "alice").status == 204
    gone = before - {path.name for path in repositories.iterdir()}
    assert gone == {f"{algorithm.id}.git", f"{algorithm.id}.lock", f"{algorithm.id}.build"}
    assert not list(repositories.glob(".*")), "nor what it was made with"
