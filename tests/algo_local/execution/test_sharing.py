"""What one call, or one account, leaves in a worker: nobody else finds it, and what is published stays as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome, Payload

JANE = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")
BOB = replace(JANE, caller="bob")

Run = Callable[..., Outcome]


def call(executor: Executor, build: Build, data: Any = None, context: CallContext = JANE) -> Any:
    outcome = executor.call(build, Payload("json", data), timeout=30, context=context)
    assert outcome.failure is None
    assert outcome.result is not None
    return outcome.result.data


SCRIBBLER = """
    import os, shutil, time

    def looks():
        found = {}
        for directory, _, names in os.walk("."):
            for name in names:
                path = os.path.join(directory, name)
                found[path] = os.readlink(path) if os.path.islink(path) else open(path, errors="replace").read()
        return {path: text for path, text in found.items() if "__pycache__" not in path}

    def apply(input):
        before = looks()
        os.chmod("work/data.txt", 0o666)
        for path in ("top.txt", "work/out.txt", "work/data.txt", "linked.txt", "src/Hello.py"):
            with open(path, "w") as file:
                file.write(str(input))
        os.remove("other.txt")
        shutil.rmtree("models")
        os.makedirs("models/new")
        os.symlink("nowhere", "dangling")
        time.sleep(0.2)
        return [before, looks()["./work/out.txt"]]
    """
FILES = {"work/data.txt": "original", "other.txt": "original", "models/deep/m.bin": "original"}


@pytest.fixture
def scribbler(write: Callable[..., Path], tmp_path: Path) -> Build:
    directory = write(SCRIBBLER, directory="scribbler", **FILES)
    (directory / "linked.txt").symlink_to("work/data.txt")
    return Builder(tmp_path / "root").build(directory, "demo", "Hello")


def contents(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_nothing_that_a_call_writes_into_its_tree_reaches_another_process(executor: Executor, scribbler: Build) -> None:
    published = contents(scribbler.source)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: call(executor, scribbler, n, replace(JANE, caller=f"a{n}")), range(4)))
    for n, (before, written) in enumerate(answers):
        assert written == str(n)
        assert {path: before[f"./{path}"] for path in FILES} == dict.fromkeys(FILES, "original")
        assert "./work/out.txt" not in before
    assert contents(scribbler.source) == published
    assert not any(path.stat().st_mode & 0o222 for path in scribbler.source.rglob("*") if not path.is_symlink())


KEEPER = """
    import os, tempfile
    calls = []

    def apply(input):
        calls.append(input)
        places = [os.environ["HOME"], tempfile.gettempdir(), "work", "."]
        for place in places:
            with open(os.path.join(place, f"of-{input}"), "w") as file:
                file.write(input)
        return [calls, sorted(name for place in places for name in os.listdir(place) if name.startswith("of-"))]
    """


def test_what_one_account_left_in_memory_or_on_disk_no_other_ever_sees(
    make_executor: Callable[..., Executor], build: Callable[..., Build]
) -> None:
    """Also where there is room for one worker only, and they take turns."""
    made = build(KEEPER, **{"work/x": ""})
    for replicas in (1, 4):
        executor = make_executor(most=replicas)
        for context in (JANE, BOB, JANE, BOB):
            calls, files = call(executor, made, context.caller, context)
            assert set(calls) == {context.caller}
            assert set(files) == {f"of-{context.caller}"}
        executor.close()


def test_a_worker_stays_warm_for_its_account_while_another_calls(
    executor: Executor, build: Callable[..., Build]
) -> None:
    made = build("import itertools\ncount = itertools.count(1)\ndef apply(input):\n    return next(count)\n")
    turns = [JANE, BOB, JANE, BOB, JANE]
    assert [call(executor, made, None, context) for context in turns] == [1, 1, 2, 2, 3]


LITTERER = """
    import os, socket, tempfile
    made_by_loading = tempfile.mkdtemp(prefix="model-")

    def apply(input):
        place = tempfile.gettempdir()
        found = sorted(name for name in os.listdir(place) if not name.startswith("pytest-"))
        assert os.path.isdir(made_by_loading)
        os.makedirs(place + "/deep/er")
        open(place + "/deep/er/file", "w").close()
        os.chmod(place + "/deep/er", 0)
        os.symlink(os.path.abspath("work"), place + "/link")
        os.mkfifo(place + "/fifo")
        tree = os.getcwd()
        os.chdir(place)  # a socket's path must be short
        socket.socket(socket.AF_UNIX).bind("socket")
        os.chdir(tree)
        tempfile.NamedTemporaryFile(delete=False).close()
        return [found, os.listdir("work")]
    """


def test_each_call_finds_the_temporary_directory_as_loading_left_it(
    executor: Executor, build: Callable[..., Build]
) -> None:
    made = build(LITTERER, **{"work/stays": ""})
    for _ in range(3):
        (model,), work = call(executor, made)
        assert model.startswith("model-")
        assert work == ["stays"]


def alter(path: Path, content: str) -> None:
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_text(content)
    path.chmod(mode)


def added(tree: Path) -> None:
    tree.chmod(0o755)
    (tree / "sitecustomize.py").write_text("raise SystemExit")


def linked(tree: Path) -> None:
    tree.chmod(0o755)
    (tree / "data.txt").unlink()
    (tree / "data.txt").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    "damage",
    [
        lambda tree: alter(tree / "src/Hello.py", "def apply(input):\n    return 'other'\n"),
        lambda tree: alter(tree / "data.txt", "datA"),
        lambda tree: shutil.rmtree(tree / "deep"),
        lambda tree: (tree / "data.txt").chmod(0o755),
        added,
        linked,
    ],
    ids=["source", "data", "removed", "mode", "added", "link"],
)
def test_a_published_tree_that_was_changed_is_not_run_and_can_be_restored(
    damage: Callable[[Path], None], executor: Executor, write: Callable[..., Path], tmp_path: Path
) -> None:
    directory = write("def apply(input):\n    return open('data.txt').read()\n", **{"data.txt": "data", "deep/x": "x"})
    builder = Builder(tmp_path / "root")
    made = builder.build(directory, "demo", "Hello")
    assert call(executor, made) == "data"
    damage(made.source)
    outcome = executor.call(made, Payload("json", None), timeout=30, context=BOB)
    assert outcome.failure is not None
    assert outcome.failure.error_type == "SystemError"
    assert "have been changed since. Publish the original files again" in outcome.failure.message
    assert builder.build(directory, "demo", "Hello").commit == made.commit
    assert call(executor, made, None, BOB) == "data"


def test_compiled_files_that_were_changed_are_made_anew(executor: Executor, build: Callable[..., Build]) -> None:
    made, other = build("def apply(input):\n    return 1\n"), build("def apply(input):\n    return 2\n")
    ours, theirs = (next(one.source.rglob("Hello.*.pyc")) for one in (made, other))
    status = (made.source / "src/Hello.py").stat()
    ours.chmod(0o644)
    ours.write_bytes(ours.read_bytes()[:16] + theirs.read_bytes()[16:])
    assert call(executor, made) == 1
    assert (made.source / "src/Hello.py").stat().st_mtime_ns == status.st_mtime_ns


def test_a_platform_that_was_moved_runs_what_was_published(
    make_executor: Callable[..., Executor], build: Callable[..., Build], tmp_path: Path
) -> None:
    made = build("def apply(input):\n    return 1\n")
    shutil.copytree(tmp_path / "root", tmp_path / "moved", symlinks=True)
    moved = replace(made, source=tmp_path / "moved" / "sources" / made.commit)
    assert call(make_executor(), moved) == 1
    os.remove(f"{moved.source}.seal")
    assert call(make_executor(), moved) == 1


def test_modules_are_not_compiled_for_every_process(executor: Executor, build: Callable[..., Build]) -> None:
    """The private copy of a module is as old as the published one, so that what was compiled of that counts."""
    made = build("import sys\ndef apply(input):\n    return __spec__.cached\n")
    made.source.joinpath("src").chmod(0o755)
    compiled = Path(call(executor, made)).name
    assert (made.source / "src/__pycache__" / compiled).exists()
    copied = build(
        "import os\ndef apply(input):\n    return [os.stat(p).st_mtime_ns for p in (__file__, __cached__)]\n"
    )
    assert call(executor, copied) == [
        path.stat().st_mtime_ns for path in (copied.source / "src/Hello.py", next(copied.source.rglob("Hello.*.pyc")))
    ]


@pytest.mark.parametrize("confinement", ["sandbox"], indirect=True)
def test_a_package_that_comes_with_the_tree_is_built_beside_what_is_published(
    executor: Executor, build: Callable[..., Build]
) -> None:
    """pip builds it in its own directory, which must not be the published one."""
    made = build(
        "import greeting\ndef apply(input):\n    return greeting.WORD\n",
        **{
            "requirements.txt": "./greeting",
            "greeting/greeting.py": "WORD = 'hello'\n",
            "greeting/pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
            "greeting/backend.py": """
                import os, zipfile

                def build_wheel(directory, config_settings=None, metadata_directory=None):
                    os.makedirs("build")
                    info = "greeting-1.0.dist-info/"
                    with zipfile.ZipFile(os.path.join(directory, "greeting-1.0-py3-none-any.whl"), "w") as wheel:
                        wheel.write("greeting.py")
                        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: greeting\\nVersion: 1.0\\n")
                        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                        wheel.writestr(info + "RECORD", "")
                    return "greeting-1.0-py3-none-any.whl"
                """,
        },
    )
    assert not (made.source / "greeting" / "build").exists()
    assert call(executor, made) == "hello"
