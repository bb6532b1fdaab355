"""Sources of builds by way of an object store: machines run what others have built."""

from __future__ import annotations

import io
import os
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import tar_archives
from support.embedded import embedded_session
from support.stores import Store

from algo_local.algorithms import builder as builder_module
from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.environment_repair import Equipment
from algo_local.data import shared_sources
from algo_local.data.contract import put
from algo_local.data.incoming import Incoming
from algo_local.data.shared_sources import SharedSources
from algo_local.data.store_objects import StoreObjects
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.pruning import Pruning
from algo_local.refusals import StorageUnavailable
from algo_local.state import State
from algo_local.web.app import Application
from algo_local.worker_updates import review_and_prepare

CODE = "def apply(input: str) -> str:\n    return input.upper()\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An algorithm with what a tree may hold."""
    directory = tmp_path / "algorithm"
    (directory / "src" / "data dir").mkdir(parents=True)
    (directory / "src" / "Upper.py").write_text(CODE)
    (directory / "src" / "__init__.py").touch()
    (directory / "src" / "data dir" / "ü\n%.bin").write_bytes(os.urandom(100_000))
    (directory / "src" / "link.py").symlink_to("Upper.py")
    program = directory / "run.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    os.link(program, directory / "same.sh")
    return directory


def machine(tmp_path: Path, name: str) -> tuple[Builder, StoreObjects]:
    """The builder of a machine, and the objects that all machines of a test share."""
    store = Store("memory", {}, tmp_path.name)
    incoming = Incoming(str(tmp_path / "incoming"))
    objects = StoreObjects(store.open(), store.uri(), "memory://", incoming, set, lambda: "platform")
    return Builder(tmp_path / name, shared=SharedSources(objects)), objects


def elsewhere(build: Build, root: Path) -> Build:
    """A build as the database gives it to another machine."""
    python = build.python
    if "environments" in python.parts:
        python = root / "environments" / Path(*python.parts[python.parts.index("environments") + 1 :])
    return Build(build.commit, root / "sources" / build.source.name, python, build.module, "")


def test_a_tree_arrives_as_it_was_built(tree: Path, tmp_path: Path) -> None:
    first, _ = machine(tmp_path, "first")
    built = first.build(tree, "jane", "Upper")
    second, _ = machine(tmp_path, "second")
    found = elsewhere(built, tmp_path / "second")
    second.fetch_source(found)
    assert found.source == tmp_path / "second" / "sources" / built.source.name
    assert (found.source / "src" / "Upper.py").read_text() == CODE
    assert os.readlink(found.source / "src" / "link.py") == "Upper.py"
    assert os.access(found.source / "run.sh", os.X_OK)
    assert (found.source / "src" / "data dir" / "ü\n%.bin").stat().st_size == 100_000
    from algo_local.algorithms.source_trees.published import whole

    assert whole(found.source)
    assert [path.name for path in (tmp_path / "second" / "sources").glob(".building-*")] == []


def archive(**members: Any) -> bytes:
    return tar_archives.archive("w:gz", **members)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive(**{"src/Upper.py": b"other"}),
        archive(**{"../../outside": b"x"}),
        archive(**{"/tmp/outside-of-a-tree": b"x"}),
        archive(**{"a": (tarfile.SYMTYPE, "../../.."), "a/outside": b"x"}),
        archive(a=(tarfile.LNKTYPE, "/etc/passwd")),
        archive(a=(tarfile.FIFOTYPE, "")),
        archive(a=(tarfile.CHRTYPE, "")),
        archive(**{"a": b"1", "a/b": b"2"}),
        archive(**{"src/Upper.py": CODE.encode()})[:-20],
    ],
    ids=["empty", "none", "other", "up", "absolute", "link", "hard link", "pipe", "device", "twice", "cut off"],
)
def test_what_is_stored_is_not_believed(content: bytes, tree: Path, tmp_path: Path) -> None:
    first, objects = machine(tmp_path, "first")
    built = first.build(tree, "jane", "Upper")
    put(objects, "sources", built.source.name, content)
    second, _ = machine(tmp_path, "second")
    with pytest.raises(BuildError, match=r"stored (source|files)"):
        second.fetch_source(elsewhere(built, tmp_path / "second"))
    assert not (tmp_path / "second" / "sources" / built.source.name).exists()
    assert list(tmp_path.rglob("*outside*")) == []
    assert not Path("/tmp/outside-of-a-tree").exists()
    assert [path.name for path in (tmp_path / "second" / "sources").glob(".building-*")] == []


def test_what_nobody_has_stored_is_told(tree: Path, tmp_path: Path) -> None:
    built = Builder(tmp_path / "first").build(tree, "jane", "Upper")
    second, _ = machine(tmp_path, "second")
    with pytest.raises(BuildError, match="not on this machine, and not in the object store"):
        second.fetch_source(elsewhere(built, tmp_path / "second"))
    # A machine that still has it shares it when it is called.
    first, _ = machine(tmp_path, "first")
    first.fetch_source(built)
    second.fetch_source(elsewhere(built, tmp_path / "second"))
    assert (tmp_path / "second" / "sources" / built.source.name).is_dir()


def test_a_build_of_this_machine_runs_without_the_store(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Builder(tmp_path / "first").build(tree, "jane", "Upper")
    first, objects = machine(tmp_path, "first")

    def away(*given: Any, **options: Any) -> Any:
        raise StorageUnavailable("The store is away")

    monkeypatch.setattr(type(objects._storage), "stat", away)
    first.fetch_source(built)
    second, _ = machine(tmp_path, "second")
    with pytest.raises(StorageUnavailable):
        second.build(tree, "jane", "Upper")  # others would not find it


def test_an_environment_is_made_once_with_the_python_of_the_build(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Path, str]] = []

    def make_environment(environment: Path, python: Any, *given: Any, **options: Any) -> None:
        made.append((environment, python.text))
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").touch()

    monkeypatch.setattr("algo_local.algorithms.installation.environments.make_environment", make_environment)
    (tree / "requirements.txt").write_text("idna\n")
    first, _ = machine(tmp_path, "first")
    built = first.build(tree, "jane", "Upper", run_code=False)
    wanted: list[tuple[int, ...]] = []
    find = builder_module.find_python

    def find_python(version: tuple[int, ...], report: Any) -> Any:
        wanted.append(version)
        return find(version, report)

    monkeypatch.setattr(builder_module, "find_python", find_python)
    monkeypatch.setenv("PYTHON_INDEX_URL", "http://127.0.0.1:9/another")  # so that the environment has another name
    second, _ = machine(tmp_path, "second")
    there = elsewhere(built, tmp_path / "second")
    second.fetch_source(there)
    database: Any = None  # what is this machine's own is not recorded for all
    equipment = Equipment(database, lambda: second, tmp_path / "second", is_alone=False)
    assert {equipment.python_for(there) for _ in range(3)} == {made[1][0] / "bin" / "python"}
    assert made[1][0] != there.python.parent.parent
    assert [text for _, text in made] == [made[0][1]] * 2
    assert wanted == [tuple(map(int, made[0][1].split(".")))[:2]]


Machine = Callable[[str], tuple[Platform, Any]]


@pytest.fixture
def machines(tmp_path: Path, s3: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Platforms on several machines: directories of their own, but for the database, and one object store."""
    for name in ("HOME", "ALGO_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for variable, name in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(variable, s3.options[name])
    monkeypatch.setenv("LOGNAME", "jane")
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    url = f"s3://bucket/{uuid.uuid4().hex}?endpoint_url={s3.options['endpoint_url']}"
    opened: list[tuple[Platform, Any]] = []
    failures: list[str] = []

    def open_machine(name: str) -> tuple[Platform, Any]:
        root = tmp_path / name
        root.mkdir(mode=0o700, exist_ok=True)
        for file in ("platform.sqlite3", "platform.sqlite3-wal", "platform.sqlite3-shm", "secrets.key"):
            if name != "one" and not (root / file).exists():
                (root / file).symlink_to(tmp_path / "one" / file)
        platform = open_platform(State(root, objects=url))
        session = embedded_session(Application(platform, trusted=True, on_failure=failures.append))
        opened.append((platform, session))
        return platform, session

    yield open_machine
    for platform, session in opened:
        session.close()
        platform.close()
    assert failures == []


def test_a_machine_runs_what_another_has_built(
    machines: Machine, tree: Path, s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines("one")
    published = one.publish(tree, "jane", "Upper", "1.0.0")
    review_and_prepare(one)
    other, session = machines("two")
    assert not published.build.source.is_relative_to(other.root)
    page = session.get("local:/v1/algorithms/jane/Upper").json()
    assert page["schemas"]["input"]["type"] == "string"
    done = session.post("local:/v1/algo/jane/Upper", json="hello").json()
    assert done.get("result") == "HELLO", done
    assert session.post("local:/v1/algo/demo/Hello", json="you").json()["result"] == "Hello you"
    assert (
        session.post("local:/v1/algo/jane/Upper", json=1).status_code != 200
        or "error" in session.post("local:/v1/algo/jane/Upper", json=1).json()
    )
    source = session.get("local:/v1/algorithms/jane/Upper/source", params={"commit": published.build.commit})
    with tarfile.open(fileobj=io.BytesIO(source.content)) as archived:
        assert "Upper/src/Upper.py" in archived.getnames()
    assert (other.root / "sources" / published.build.source.name).is_dir()


def test_what_no_build_names_is_pruned(machines: Machine, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = machines("one")
    published = one.publish(tree, "jane", "Upper", "1.0.0")
    (tree / "src" / "more.py").touch()
    gone = one.builder.build(tree, "jane", "Upper")
    assert one.objects.info("sources", gone.source.name)
    assert [
        removed.name for removed in Pruning(one).run() if "shared" in removed.name
    ] == []  # it may still be recorded
    monkeypatch.setattr(shared_sources, "UNNAMED_SECONDS", -60)
    assert f"shared sources/{gone.source.name}" in [removed.name for removed in Pruning(one, dry_run=True).run()]
    assert one.objects.info("sources", gone.source.name)
    Pruning(one).run()
    assert not one.objects.info("sources", gone.source.name)
    assert one.objects.info("sources", published.build.source.name)
