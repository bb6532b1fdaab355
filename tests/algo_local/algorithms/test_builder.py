"""What becomes of a directory: the published tree and its hash, and a clear refusal of what cannot be published."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder, BuildError
from algo_local.algorithms.installation import installing
from algo_local.algorithms.installation.environments import Environments, interpreter_of, requirements_of
from algo_local.algorithms.installation.installing import build_environment
from algo_local.algorithms.source_trees import sources

Write = Callable[..., Path]
PLAIN = "def apply(input):\n    return input\n"


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "root")


def refusal(builder: Builder, directory: Path, name: str = "Hello") -> BuildError:
    with pytest.raises(BuildError) as caught:
        builder.build(directory, "demo", name)
    assert caught.value.message.startswith(f"Cannot build demo/{name}: ")
    assert list((builder._sources).glob(".building-*")) == []
    return caught.value


def names_in(tree: Path) -> list[str]:
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if "__pycache__" not in str(path))


def test_a_build_says_all_that_a_process_needs(builder: Builder, write: Write) -> None:
    told: list[str] = []
    build = builder.build(write(PLAIN), "demo", "Hello", report=told.append)
    assert build.module == "src.Hello"
    assert build.python == Path(sys.executable)
    assert build.source.name == build.commit
    assert len(build.commit) == 40
    assert int(build.commit, 16) >= 0
    assert build.log == "\n".join(told) + "\n"
    assert names_in(build.source) == ["src", "src/Hello.py", "src/__init__.py"]


def test_equal_content_has_an_equal_hash_wherever_it_lies(tmp_path: Path, write: Write) -> None:
    one = Builder(tmp_path / "one").build(write(PLAIN, directory="a"), "demo", "Hello")
    write(PLAIN, directory="b", **{".git/HEAD": "x", "src/__pycache__/Hello.pyc": "x", "venv/pyvenv.cfg": ""})
    two = Builder(tmp_path / "two").build(tmp_path / "b", "demo", "Hello")
    assert one.commit == two.commit
    assert names_in(two.source) == ["src", "src/Hello.py", "src/__init__.py"]


def test_any_difference_changes_the_hash(builder: Builder, write: Write) -> None:
    def commit(**files: str) -> str:
        directory = write(PLAIN, directory=f"d{len(list(builder._sources.glob('*')))}", **files)
        return builder.build(directory, "demo", "Hello").commit

    commits = [commit(), commit(data="a"), commit(data="b"), commit(Data="a"), commit(da="ta"), commit(d="ata")]
    runnable = write(PLAIN, directory="runnable", data="a")
    (runnable / "data").chmod(0o755)
    commits.append(builder.build(runnable, "demo", "Hello").commit)
    linked = write(PLAIN, directory="linked")
    (linked / "data").symlink_to("src/Hello.py")
    commits.append(builder.build(linked, "demo", "Hello").commit)
    assert len(set(commits)) == len(commits)


def test_publishing_the_same_again_keeps_the_tree(builder: Builder, write: Write) -> None:
    first = builder.build(write(PLAIN), "demo", "Hello")
    inode = first.source.stat().st_ino
    assert builder.build(write(PLAIN), "demo", "Hello") == first
    assert first.source.stat().st_ino == inode


def test_placeholders_become_owner_and_name(builder: Builder, tmp_path: Path) -> None:
    root = tmp_path / "template"
    (root / "src").mkdir(parents=True)
    (root / "src" / "__ALGO__.py").write_text("def apply(input):\n    return '__USER__/__ALGO__'\n")
    (root / "__USER__.bin").write_bytes(b"\0__USER__")
    (root / "algorithmia.conf").write_text('{"username": "__USER__", "algoname": "__ALGO__"}')
    build = builder.build(root, "demo", "Greet")
    assert build.module == "src.Greet"
    assert "demo/Greet" in (build.source / "src/Greet.py").read_text()
    assert json.loads((build.source / "algorithmia.conf").read_text()) == {"username": "demo", "algoname": "Greet"}
    assert (build.source / "demo.bin").read_bytes() == b"\0__USER__"
    assert (root / "src" / "__ALGO__.py").exists()


def test_names_that_collide_once_replaced(builder: Builder, write: Write) -> None:
    error = refusal(builder, write(PLAIN, **{"src/__ALGO__.py": PLAIN}))
    assert "would both be published as src/Hello.py" in error.message


def test_a_directory_published_under_another_name(builder: Builder, write: Write) -> None:
    directory = write(PLAIN, name="Classify", **{"algorithmia.conf": '{"algoname": "Classify"}'})
    assert builder.build(directory, "demo", "Renamed").module == "src.Classify"


def test_a_module_that_is_a_package(builder: Builder, write: Write) -> None:
    directory = write("", name="other", **{"src/Hello/__init__.py": PLAIN})
    assert builder.build(directory, "demo", "Hello").module == "src.Hello"


@pytest.mark.parametrize(
    "code",
    [
        "from .model import apply\n",
        "from .model import *\n",
        "from .model import predict as apply\n",
        "apply = lambda input: input\n",
        "try:\n    import x\nexcept ImportError:\n    def apply(input):\n        return 1\n",
        "from Algorithmia import ADK\nADK(print).init('x')\n",
        "import Algorithmia\nif __name__ != 'x':\n    Algorithmia.handler(print).serve()\n",
    ],
)
def test_every_way_to_offer_something_to_run(builder: Builder, write: Write, code: str) -> None:
    assert builder.build(write(code), "demo", "Hello").module == "src.Hello"


@pytest.mark.parametrize(
    "code", ["", "import apply_all\n", "class A:\n    def apply(self): pass\n", "def run(): apply = 1\n"]
)
def test_nothing_to_run(builder: Builder, write: Write, code: str) -> None:
    error = refusal(builder, write(code))
    assert "src/Hello.py has no entry point" in error.message
    assert error.hint is not None


def test_a_syntax_error_names_its_line(builder: Builder, write: Write) -> None:
    assert "src/Hello.py, line 2: " in refusal(builder, write("def apply(input):\n    return (\n")).message


def test_no_directory_no_src_no_module(builder: Builder, write: Write, tmp_path: Path) -> None:
    assert "is not a directory" in refusal(builder, tmp_path / "nowhere").message
    (tmp_path / "file").touch()
    assert "is not a directory" in refusal(builder, tmp_path / "file").message
    (tmp_path / "empty").mkdir()
    assert "There is no src directory" in refusal(builder, tmp_path / "empty").message
    error = refusal(builder, write(PLAIN, name="Other", **{"src/Other_test.py": ""}))
    assert "There is no src/Hello.py (src holds Other.py)" in error.message
    assert "Hello.py" in (error.hint or "")


@pytest.mark.parametrize(
    ("files", "language"),
    [
        ({"algorithmia.conf": '{"language": "java-ojdk11"}'}, "Java"),
        ({"algorithmia.conf": '{"language": "java"}'}, "Java"),
        ({"algorithmia.conf": '{"language": "scala-2-sbt-1.3"}'}, "Scala"),
        ({"algorithmia.conf": '{"language": "csharp-dotnet-core2"}'}, "C#"),
        ({"algorithmia.conf": '{"language": "anaconda3x"}'}, "Conda"),
        ({"algorithmia.conf": '{"language": "python-2.x-1"}'}, "Python 2"),
        ({"algorithmia.conf": '{"langauge": "rust"}'}, "Rust"),
        ({"pom.xml": ""}, "Java"),
        ({"environment.yml": ""}, "Conda"),
    ],
)
def test_other_languages_are_named(builder: Builder, write: Write, files: dict[str, str], language: str) -> None:
    error = refusal(builder, write(PLAIN, **files))
    assert error.message.endswith(f"holds one in {language}")
    assert "algo template" in (error.hint or "")


def test_the_misspelled_member_of_the_python_template_is_understood(builder: Builder, write: Write) -> None:
    assert builder.build(write(PLAIN, **{"algorithmia.conf": '{"langauge": "python3.7"}'}), "demo", "Hello")


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_broken_configuration(builder: Builder, write: Write, text: str) -> None:
    assert "algorithmia.conf" in refusal(builder, write(PLAIN, **{"algorithmia.conf": text})).message


def test_links_within_the_directory_stay_links(builder: Builder, write: Write) -> None:
    directory = write(PLAIN, **{"data/words.txt": "a"})
    (directory / "words").symlink_to("data/words.txt")
    (directory / "absolute").symlink_to(directory / "data")
    source = builder.build(directory, "demo", "Hello").source
    assert os.readlink(source / "words") == "data/words.txt"
    assert os.readlink(source / "absolute") == "data"


@pytest.mark.parametrize(
    ("target", "part"), [("/etc/passwd", "points outside"), ("../..", "points outside"), ("no", "does not exist")]
)
def test_links_that_lead_elsewhere(builder: Builder, write: Write, target: str, part: str) -> None:
    directory = write(PLAIN)
    (directory / "link").symlink_to(target)
    assert part in refusal(builder, directory).message


def test_the_platforms_own_state_inside_the_directory(write: Write) -> None:
    directory = write(PLAIN)
    assert "ALGO_LOCAL_ROOT" in (refusal(Builder(directory / "state"), directory).hint or "")


def test_what_is_no_file(builder: Builder, write: Write) -> None:
    directory = write(PLAIN)
    os.mkfifo(directory / "fifo")
    assert "neither a file nor a directory" in refusal(builder, directory).message


def test_what_cannot_be_read(builder: Builder, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write(PLAIN, secret="x")
    (directory / "secret").chmod(0)
    opened = Path.open

    def guarded(self: Path, *arguments: Any, **options: Any) -> Any:
        """What the system does for everybody but the superuser, whom it lets read everything."""
        if self.stat().st_mode & 0o444 == 0:
            raise PermissionError(13, os.strerror(13), str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", guarded)
    assert "Permission denied" in refusal(builder, directory).message


@pytest.mark.parametrize("limit", [("MAX_FILES", 3), ("MAX_BYTES", 40)])
def test_a_huge_tree(builder: Builder, write: Write, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]) -> None:
    monkeypatch.setattr(sources, *limit)
    assert "too large" in refusal(builder, write(PLAIN, a="x" * 10, b="x" * 10)).message


def test_nothing_is_writable_and_the_tree_is_removable(builder: Builder, write: Write, tmp_path: Path) -> None:
    """Also by an ordinary user, whom the modes of directories stop, and who may have been kept out of some."""
    build = builder.build(write(PLAIN), "demo", "Hello")
    for path in (build.source, *build.source.rglob("*")):
        assert not path.stat().st_mode & 0o222, path
    (build.source / "src").chmod(0)
    code = (
        "import sys; from pathlib import Path; from algo_local.trees import remove_tree; remove_tree(Path(sys.argv[1]))"
    )
    ordinary = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={ordinary}", f"--inh-caps={ordinary}"] if os.getuid() == 0 else []
    subprocess.run([*command, sys.executable, "-c", code, str(tmp_path / "root")], check=True)
    assert not (tmp_path / "root").exists()


def test_old_leftovers_are_removed_and_young_ones_left(builder: Builder, write: Write) -> None:
    builder._sources.mkdir(parents=True)
    old, young = builder._sources / ".building-old", builder._sources / ".building-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (1, 1))
    builder.build(write(PLAIN), "demo", "Hello")
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", ""), ("# none\n\n   # of them\n", ""), ("\ufeffa\r\n# b\r\n c \r\n", "a\nc"), ("a#b\n", "a#b")],
)
def test_requirements_are_lines_that_require(tmp_path: Path, text: str, lines: str) -> None:
    (tmp_path / "requirements.txt").write_bytes(text.encode())
    assert requirements_of(tmp_path) == lines


def test_commented_requirements_need_no_environment(builder: Builder, write: Write) -> None:
    assert builder.build(write(PLAIN, **{"requirements.txt": "# six\n"}), "demo", "Hello").python == Path(
        sys.executable
    )


def local_package(directory: Path, name: str = "greeting") -> Path:
    """A package that installs without an index: pip is given the directory of a wheel made by hand."""
    wheels = directory / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    import zipfile

    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheels / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "WORD = 'hello'\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return wheels


@pytest.fixture(params=["uv", "pip"])
def offline(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both installers find the package `greeting` and no other, without any network."""
    installer: str = request.param
    monkeypatch.setenv("ALGO_LOCAL_INSTALLER", installer)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(local_package(tmp_path)))
    return installer


def is_installed_by(log: str) -> bool:
    """Whether a build's log tells that greeting was installed."""
    return "Successfully installed greeting-1.0" in log or " + greeting==1.0" in log


USES = "import greeting\ndef apply(input):\n    return greeting.WORD\n"


@pytest.mark.usefixtures("offline")
def test_requirements_are_installed_once_for_all_that_share_them(builder: Builder, write: Write) -> None:
    one = builder.build(write(USES, directory="a", **{"requirements.txt": "greeting\n"}), "demo", "Hello")
    two = builder.build(write(USES, directory="b", more="x", **{"requirements.txt": "# g\ngreeting"}), "demo", "Hello")
    assert one.commit != two.commit
    assert one.python == two.python != Path(sys.executable)
    assert is_installed_by(one.log)
    assert "exists already" in two.log
    environment = one.python.parent.parent
    for path in (environment, *environment.rglob("*")):
        assert path.is_symlink() or not path.stat().st_mode & 0o222, path
    program = "import greeting, sys; print(greeting.WORD, sys.prefix)"
    said = subprocess.run(
        [interpreter_of(one.python).program, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["hello", str(one.python.parent.parent)]


@pytest.mark.parametrize("offline", ["pip"], indirect=True)
@pytest.mark.usefixtures("offline")
def test_an_interpreter_without_a_pip_of_its_own(
    builder: Builder, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "our_pip_installs_elsewhere", lambda: False)
    build = builder.build(write(USES, **{"requirements.txt": "greeting\n"}), "demo", "Hello")
    assert is_installed_by(build.log)


@pytest.mark.usefixtures("offline")
def test_requirements_that_do_not_install(builder: Builder, write: Write) -> None:
    error = refusal(builder, write(PLAIN, **{"requirements.txt": "greeting\nno-such-thing==7\n"}))
    assert "Installing requirements.txt failed: " in error.message
    assert "no-such-thing==7" in error.message
    assert "no-such-thing==7" in (error.hint or "")
    assert "Making a virtual environment" in error.log
    assert "no-such-thing==7" in error.log
    assert [path.suffix for path in builder._environments._root.iterdir()] == [".lock"]


def test_requirements_that_are_not_text(builder: Builder, write: Write) -> None:
    directory = write(PLAIN)
    (directory / "requirements.txt").write_bytes(b"\xff\xfe\x00")
    assert "Cannot read requirements.txt" in refusal(builder, directory).message


@pytest.mark.usefixtures("offline")
def test_an_interrupted_environment_is_made_anew(builder: Builder, write: Write) -> None:
    directory = write(USES, **{"requirements.txt": "greeting\n"})
    environment = builder.build(directory, "demo", "Hello").python.parent.parent
    environment.chmod(0o755)
    (environment / "requirements.txt").unlink()
    (environment / "rubbish").touch()
    build = builder.build(directory, "demo", "Hello")
    assert build.python.parent.parent == environment
    assert is_installed_by(build.log)
    assert not (environment / "rubbish").exists()


@pytest.mark.usefixtures("offline")
def test_builds_at_once_make_one_environment(tmp_path: Path, write: Write) -> None:
    directory = write(USES, **{"requirements.txt": "greeting\n"})
    builds: list[Build] = []
    threads = [
        threading.Thread(target=lambda: builds.append(Builder(tmp_path / "root").build(directory, "demo", "Hello")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({build.python for build in builds}) == 1
    assert sum(is_installed_by(build.log) for build in builds) == 1
    assert len(builds) == 3


@pytest.mark.usefixtures("offline")
def test_requirements_that_name_files_are_not_shared(builder: Builder, write: Write) -> None:
    pythons = {
        builder.build(
            write(PLAIN, directory=name, **{"requirements.txt": "-r more.txt\n", "more.txt": f"greeting # {name}\n"}),
            "demo",
            "Hello",
        ).python
        for name in ("a", "b")
    }
    assert len(pythons) == 2


def test_modules_of_the_algorithm_cannot_stand_in_for_pips(builder: Builder, write: Write, offline: str) -> None:
    traps = {f"{name}.py": "raise SystemExit('trapped')" for name in ("pip", "json", "venv", "sitecustomize")}
    settings = {"uv.toml": "trapped = (", "pyproject.toml": "[tool.uv]\nindex-url = 3\n"}
    build = builder.build(write(USES, **{"requirements.txt": "greeting\n", **traps, **settings}), "demo", "Hello")
    assert "trapped" not in build.log
    assert is_installed_by(build.log)


def test_the_build_sees_pips_settings_and_none_of_our_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"PIP_INDEX_URL": "u", "https_proxy": "p", "SSL_CERT_FILE": "c"}
    taken = {"ALGORITHMIA_API_KEY": "k", "PYTHONPATH": "x", "PIP_TARGET": "t", "VIRTUAL_ENV": "v"}
    for name, value in {**given, **taken, "PIP_USER": "1"}.items():
        monkeypatch.setenv(name, value)
    environment = build_environment()
    assert given.items() <= environment.items()
    assert not taken.keys() & environment.keys()
    assert environment["PIP_USER"] == "0"


def test_the_index_of_the_platform_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: str) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PYTHON_INDEX_URL", "http://127.0.0.1:9/simple")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "requirements.txt").write_text("greeting\n")
    told: list[str] = []
    with pytest.raises(BuildError):
        Environments(tmp_path / "environments").python_for(tmp_path / "tree", "0" * 40, told.append)
    assert any("http://127.0.0.1:9/simple" in line for line in told)


def test_a_build_without_requirements_outlives_its_interpreter() -> None:
    program, environment, _ = interpreter_of(Path("/gone/bin/python"))
    assert os.path.realpath(program) == os.path.realpath(sys.executable)
    assert environment is None


def test_a_disk_that_is_full_is_told(builder: Builder, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    directory = write(PLAIN)
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(BuildError, match="No space left on device"):
        builder.build(directory, "demo", "Hello")
