"""Environments by uv and by pip: the same indexes, the same words for a failure, any Python of the machine."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, ConfigError, ExitCode
from algo_local.algorithms import builder as builder_module
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.catalog import python_of
from algo_local.algorithms.installation import bytecode, installing
from algo_local.algorithms.installation import index_settings as index_settings_module
from algo_local.algorithms.installation.index_settings import index_settings
from algo_local.algorithms.languages import interpreters
from algo_local.algorithms.languages.interpreters import Python, find_python, ours, parse_python, python_named_in
from algo_local.callers import CallContext
from algo_local.execution.inside import runner
from algo_local.execution.payload import Payload
from algo_local.platform import Platform

RUNNING = Path(runner.__file__).parent


@pytest.mark.parametrize("path", [RUNNING / "runner.py", RUNNING / "supervisor.py", Path(bytecode.__file__)], ids=str)
def test_what_runs_in_the_algorithms_python_is_written_for_python_3_6(path: Path) -> None:
    """Syntax, and imports and annotations that 3.6 evaluates."""
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 6))
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert imported - {"collections.abc", "types", "typing"} <= {
        *("ast", "base64", "ctypes", "importlib", "importlib.machinery", "inspect", "io", "json", "os", "py_compile"),
        *("resource", "select", "shutil", "signal", "site", "socket", "struct", "sys", "tempfile", "traceback"),
    }
    evaluated: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            every = (*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
            evaluated += [node.returns, *(one.annotation for one in every if one)]
    evaluated += [node.annotation for node in tree.body if isinstance(node, ast.AnnAssign)]
    known = {"str", "int", "object", "property", "bool", "BaseException", "Pipe", "None"}
    for annotation in filter(None, evaluated):
        assert isinstance(annotation, ast.Constant) or ast.unparse(annotation) in known, ast.unparse(annotation)


@pytest.mark.parametrize("modules", [1, 2 * bytecode.PER_PROCESS + 5])
def test_modules_are_compiled_but_for_those_that_no_algorithm_loads(tmp_path: Path, modules: int) -> None:
    for number in range(modules):
        (tmp_path / f"m{number}.py").write_text(f"x = {number}\n")
    package = tmp_path / "package"
    for place in ("", "tests", "below"):
        (package / place).mkdir()
        (package / place / "one.py").write_text("x = 1\n")
    (package / "template.py").write_text("def {{name}}(:\n")
    (package / "binary.py").write_bytes(b"\0\xff")
    (package / "gone.py").symlink_to("nowhere")
    (package / "data.txt").touch()
    done = subprocess.run([sys.executable, "-I", "-S", bytecode.__file__, tmp_path], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, b"", b"")
    compiled = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.pyc")]
    assert len(compiled) == modules + 2
    assert {str(path.parent.parent) for path in compiled} == {".", "package", "package/below"}


def test_every_python_of_this_machine_runs_an_algorithm(platform: Platform, write: Callable[..., Path]) -> None:
    """There is one at least: ours. Each runs in an environment of its own, without and with a sandbox."""
    code = "import sys\ndef apply(input):\n    print('said')\n    return [list(sys.version_info[:3]), input]\n"
    newest = {python.version[:2]: python for python in sorted({ours(), *interpreters.installed()})}
    for minor, python in newest.items():
        build = platform.builder.build(write(code), "demo", "Hello", python=minor)
        context = CallContext("jane", ("demo", "Hello"), "session", f"request-{python.text}")
        outcome = platform.executor.call(build, Payload("json", {"a": "é"}), timeout=60, context=context)
        assert outcome.failure is None, outcome.failure
        assert outcome.result is not None
        assert outcome.result.data[1] == {"a": "é"}
        assert tuple(outcome.result.data[0][:2]) == minor
        assert outcome.stdout == "said\n"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        *(("python3.7", (3, 7)), ("python37", (3, 7)), ("Python-3.8", (3, 8)), ("python3.10.4", (3, 10, 4))),
        *(("python311", (3, 11)), ("Python 3.8 + TensorFlow GPU 2.3", (3, 8))),
        *(("python3", ()), ("python3-1", ()), ("python", ()), ("r36", ()), ("", ()), ("java11", ())),
    ],
)
def test_languages_and_environments_name_a_version(text: str, version: tuple[int, ...]) -> None:
    assert python_named_in(text) == version


@pytest.mark.parametrize("text", ["3.x", "", "three", "-3", "3.", "3.8.1.2", "2.7", "3.5", "3.8 ; rm"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_python(text)
    assert parse_python(" 3.8 ") == (3, 8)


def test_environments_of_the_platform_name_their_python() -> None:
    assert python_of("ea8f42fe-ea59-4eab-920a-09176729b4fa") == (3, 7)
    assert python_of("6f55bf02-13b6-454c-a867-909aba60a897") == ours().version[:2]
    assert python_of("35bb9b51-ae67-432c-a514-88f9191ba863") == python_of(None) == python_of("none") == ()


@pytest.fixture
def having(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the machine certain interpreters besides ours: `having("3.4.1", "3.99.2")`."""

    def having(*versions: str) -> None:
        def there(text: str) -> Python:
            return Python(tuple(map(int, text.split("."))), f"/opt/{text}/bin/python3", f"/opt/{text}")

        found = {python.program: python for python in map(there, versions)}
        monkeypatch.setattr(interpreters, "_near", lambda environ: iter(found))
        monkeypatch.setattr(interpreters, "_listed_by", lambda uv: [])
        monkeypatch.setattr(interpreters, "_examined", found.get)
        monkeypatch.setattr(interpreters, "installed", lambda: tuple(found.values()))

    return having


def test_the_newest_that_fits_is_chosen(having: Callable[..., None]) -> None:
    having("3.98.1", "3.98.12", "3.98.2", "3.99.0")
    assert find_python((3, 98), print).text == "3.98.12"
    assert find_python((3, 98, 2), print).text == "3.98.2"
    assert find_python((), print) == find_python(ours().version[:2], print) == ours()


def test_a_missing_python_is_told_with_those_that_are_there(
    having: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    having("3.97.1")
    asked: list[Any] = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *given, **options: (asked.append(given), real(["true"]))[1])
    with pytest.raises(BuildError) as caught:
        find_python((3, 98), print)
    assert caught.value.message == f"Python 3.98 is not installed on this machine, which has 3.97.1, {ours().text}"
    assert " python install 3.98" in (caught.value.hint or "") or "pyenv install 3.98" in (caught.value.hint or "")
    assert asked == []
    with pytest.raises(ConfigError, match="must be on or off"):
        find_python((3, 98), print, {"ALGO_LOCAL_PYTHON_DOWNLOADS": "maybe"})


def test_a_python_that_is_too_old_is_not_looked_for(having: Callable[..., None]) -> None:
    having("3.5.9", "2.7.18")
    for wanted in ((3, 5), (2, 7), (2,)):
        with pytest.raises(BuildError, match=r"need Python 3\.6 or later"):
            find_python(wanted, print)


def test_a_preferred_python_that_is_missing_stops_nothing(having: Callable[..., None]) -> None:
    having()
    told: list[str] = []
    assert builder_module.chosen_python((), (3, 98), told.append) == ours()
    assert "Python 3.98 is not installed" in told[0]
    with pytest.raises(BuildError):
        builder_module.chosen_python((3, 98), (), told.append)


def test_the_language_of_the_configuration_chooses(
    tmp_path: Path, write: Callable[..., Path], having: Callable[..., None]
) -> None:
    having()
    directory = write("def apply(input): return 1\n", **{"algorithmia.conf": '{"language": "python3.98"}'})
    with pytest.raises(BuildError, match=r"Python 3\.98 is not installed"):
        Builder(tmp_path / "root").build(directory, "demo", "Hello")
    assert list((tmp_path / "root" / "sources").glob("[0-9a-f]*")) == []


def test_versions_keep_the_python_that_they_were_published_with(
    platform: Platform, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write("def apply(input): return 1\n")
    (directory / "src" / "Hello.py").rename(directory / "src" / "Other.py")
    platform.publish(directory, "demo", "Other", "1.0.0")
    other = Python((3, 98, 0), ours().program, "/opt/other")
    monkeypatch.setattr(builder_module, "find_python", lambda wanted, report: other)
    with pytest.raises(AlgoError, match=r"published as 1\.0\.0, with another Python"):
        platform.publish(directory, "demo", "Other", "1.0.1", python=(3, 98))


def test_pips_settings_are_uvs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = index_settings_module._read  # without the files of this machine
    monkeypatch.setattr(index_settings_module, "_read", lambda path: read(path) if tmp_path in path.parents else {})
    monkeypatch.setattr(index_settings_module, "_SYSTEM_UV_FILE", str(tmp_path / "none"))
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://weak\nextra_index_url = https://a\n   https://b\ncert = /ca.pem\n"
        "[install]\nfind-links = /wheels\n[freeze]\nno-index = 1\n"
    )
    (tmp_path / "own.conf").write_text("[global]\nindex-url = https://own\ntrusted-host = h:1\n")
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "own.conf"), "PIP_FIND_LINKS": "/x /y"}
    found = index_settings(environ)
    assert found.uv_options() == [
        *("--default-index", "https://own", "--index", "https://a", "--index", "https://b"),
        *("--find-links", "/x", "--find-links", "/y", "--allow-insecure-host", "h:1"),
        *("--index-strategy", "unsafe-best-match"),
    ]
    assert found.uv_variables() == {"SSL_CERT_FILE": "/ca.pem", "UV_NO_CONFIG": "1"}
    assert index_settings({**environ, "PYTHON_INDEX_URL": "https://ours"}).uv_options()[1] == "https://ours"
    nothing = index_settings({**environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""})
    assert nothing.uv_options() == ["--no-index", "--index-strategy", "unsafe-best-match"]
    (tmp_path / ".config" / "uv").mkdir()
    (tmp_path / ".config" / "uv" / "uv.toml").touch()
    assert found.uv_variables()["UV_CONFIG_FILE"] == str(tmp_path / ".config" / "uv" / "uv.toml")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("Looking\nERROR: first\nERROR: No matching distribution found for a==7", "No matching distribution found for a==7"),
        ("error: No solution found\n  cause: Because a was not found\n\nhint: try", "No solution found: Because a was not found"),
        ("  \N{MULTIPLICATION SIGN} Failed to build `a`\n  ├─▶ The backend failed\n  ╰─▶ Call failed\n      error: gcc", "a could not be built: error: gcc"),
        ("error: Failed to fetch\n  Caused by: refused", "Failed to fetch: refused"),
        ("nothing of the kind", "exit code 3"),
    ],
)  # fmt: skip
def test_the_reason_of_an_installer_is_told(tmp_path: Path, said: str, cause: str) -> None:
    told: list[str] = []
    program = f"import sys\nsys.stdout.reconfigure(encoding='utf-8')\nprint({said!r})\nsys.exit(3)"
    with pytest.raises(BuildError) as caught:
        installing.run([sys.executable, "-c", program], tmp_path, "Installing", told.append)
    assert caught.value.message == f"Installing failed: {cause}"
    assert told == said.split("\n")


@pytest.mark.parametrize("value", ["conda", "both"])
def test_an_unknown_installer_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="auto, uv or pip"):
        installing.builds_with({"ALGO_LOCAL_INSTALLER": value})
    assert installing.builds_with({"ALGO_LOCAL_INSTALLER": "pip"}) is None


def test_pip_stands_in_for_a_missing_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    assert installing.builds_with({"PATH": "/nowhere"}) is None
    with pytest.raises(ConfigError, match="uv is not installed"):
        installing.builds_with({"PATH": "/nowhere", "ALGO_LOCAL_INSTALLER": "uv"})
