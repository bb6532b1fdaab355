"""What a start may import. Times are measured by `benchmarks/startup`; here modules are counted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.stub import KEY, StubPlatform

from algo_core.errors import ExitCode
from algo_core.testing import Home

HEAVY = {"requests", "urllib3", "ssl", "importlib.metadata", "importlib_metadata", "tomlkit", "platformdirs", "pluggy",
         "keyring", "sqlite3", "json", "pathlib", "tempfile", "subprocess", "socket", "http.client", "asyncio"}  # fmt: skip

PROBE = """
import sys
before = set(sys.modules)
import atexit, io, json
after_probe = set(sys.modules)
sys.argv = ["algo", *sys.argv[1:]]
out, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO())
for name in ("json", "json.decoder", "json.encoder", "json.scanner"):
    sys.modules.pop(name)
from algo_core.main import main
try:
    main()
except SystemExit:
    pass
out.write(json.dumps(sorted((set(sys.modules) - before) - (after_probe - {"json"}))))
out.flush()
"""


def imported(home: Home, *arguments: str, **environ: str) -> set[str]:
    home.run("--help")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env={**home.environ, **environ},
        cwd=home.root,
        capture_output=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_version_imports_next_to_nothing(algo_home: Home) -> None:
    assert imported(algo_home, "--version") <= {"__future__", "algo_core", "algo_core.main", "algo_core.version"}


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_help_imports_click_and_the_index_only(algo_home: Home, arguments: tuple[str, ...]) -> None:
    modules = imported(algo_home, *arguments)
    assert modules & HEAVY == set()
    assert not {
        name
        for name in modules
        if name.startswith(("algo_run", "algo_data", "algo_env", "algo_manage", "algo_local", "algo_plugins"))
    }
    assert {name for name in modules if name.startswith("algo_core")} == {
        "algo_core", "algo_core.cli", "algo_core.context", "algo_core.errors", "algo_core.main", "algo_core.nesting",
        "algo_core.version", "algo_core.plugins", "algo_core.plugins.index", "algo_core.plugins.manager", "algo_core.plugins.policy",
        "algo_core.settings", "algo_core.settings.config", "algo_core.settings.paths",
        "algo_core.terminal", "algo_core.terminal.options", "algo_core.terminal.output",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shell", "arguments", "own"),
    [("bash", ("algo c", "c"), {"posix"}), ("zsh", ("", "c"), {"posix"}), ("fish", ("algo c",), {"posix"}),
     ("powershell", (), set())],
)  # fmt: skip
def test_completion_imports_no_plugin_and_nothing_heavy(
    algo_home: Home, shell: str, arguments: tuple[str, ...], own: set[str]
) -> None:
    """Nor anything that click's own completion would not."""
    modules = imported(algo_home, *arguments, _ALGO_COMPLETE=shell, _ALGO_LINE="algo c")
    assert modules & HEAVY == set()
    assert not {
        name
        for name in modules
        if name.startswith(("algo_run", "algo_data", "algo_env", "algo_manage", "algo_local", "algo_plugins"))
    }
    ours = {name for name in modules if name.startswith("algo_core")}
    with_click = imported(algo_home, _ALGO_COMPLETE="zsh_complete", COMP_WORDS="algo c", COMP_CWORD="1")
    assert modules - ours <= with_click
    base = "algo_core.terminal.completion"
    assert {name for name in ours if name.startswith("algo_core.terminal")} - imported(algo_home, "--help") == {
        "algo_core.terminal.sanitize", base, f"{base}.candidates", f"{base}.{shell}", *(f"{base}.{name}" for name in own)
    }  # fmt: skip


SELDOM_NEEDED = {"requests", "urllib3", "ssl", "http.client", "email", "certifi", "encodings.idna", "importlib.metadata",
                 "importlib_metadata", "tomlkit", "platformdirs", "tempfile", "hashlib", "random", "shutil", "dataclasses",
                 "subprocess", "asyncio", "concurrent.futures", "algo_core.terminal.sanitize", "algo_run.json_text",
                 "base64", "pluggy", "algo_core.plugins.hookspecs", "algo_local"}  # fmt: skip


@pytest.mark.parametrize("command", ["ls", "ls -l", "cp down", "cp up", "cat", "stat", "run", "languages"])
def test_plain_commands_open_no_requests_session(
    algo_home: Home, stub: StubPlatform, tmp_path: Path, command: str
) -> None:
    file = stub.answer(200, b"content", {"X-Data-Type": "file", "Last-Modified": "Wed, 06 Jan 2016 10:22:34 GMT"})
    page = {"files": [{"filename": "f", "size": 7, "last_modified": "2016-01-06T10:22:34.000Z"}]}
    stub.on("GET", "/v1/data/.my/c", stub.json_answer(page, **{"X-Data-Type": "directory"}))
    stub.on("GET", "/v1/data/.my/c/f", file)
    stub.on("HEAD", "/v1/data/.my/c/f", file)
    stub.on("PUT", "/v1/data/.my/c/g", stub.json_answer({"result": "data://.my/c/g"}))
    stub.on("HEAD", "/v1/data/.my/c/g", stub.answer(404))
    stub.on("POST", "/v1/algo/demo/Echo", stub.json_answer({"result": "x", "metadata": {"content_type": "text"}}))
    stub.on("GET", "/v1/algorithm-environments/edge/languages", stub.json_answer([{"name": "python3"}]))
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    (tmp_path / "g").write_text("content")
    words = {
        "ls": ("ls", ".my/c"),
        "ls -l": ("ls", "-l", ".my/c"),
        "cp down": ("cp", "data://.my/c/f", str(tmp_path / "f")),
        "cp up": ("cp", str(tmp_path / "g"), "data://.my/c/g"),
        "cat": ("cat", ".my/c/f"),
        "stat": ("stat", ".my/c/f"),
        "run": ("run", "demo/Echo", "-d", "x"),
        "languages": ("languages",),
    }[command]
    modules = imported(algo_home, *words)
    assert stub.seen, "it asked the platform"
    assert modules & SELDOM_NEEDED == set()


TAKES_PART = """
from algo_core import PluginSetting, Variable, hookimpl

@hookimpl
def algo_settings():
    return [PluginSetting("acme.queue", "queue of jobs", default="short")]

@hookimpl
def algo_request_headers(profile, app):
    return {"X-Queue": app.setting("acme.queue").value}

@hookimpl
def algo_observe(event):
    with open("told", "a") as file:
        file.write(type(event).__name__ + "\\n")
"""


def test_a_run_with_observers_settings_and_headers_imports_no_requests(
    algo_home: Home, stub: StubPlatform, plugin_folder: Any
) -> None:
    plugin_folder.add("acme", TAKES_PART)
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    stub.on("POST", "/v1/algo/demo/Echo", stub.json_answer({"result": "x", "metadata": {"content_type": "text"}}))
    modules = imported(algo_home, "run", "demo/Echo", "-d", "x")
    assert stub.seen[0].headers["X-Queue"] == "short"
    told = (algo_home.root / "told").read_text().split()
    assert told == ["CommandStarted", "RequestEnded", "CommandEnded"]
    allowed = {"pluggy", "algo_core.plugins.hookspecs", "shutil", "random"}  # pluggy calls the hooks
    assert modules & (SELDOM_NEEDED - allowed) == set()


def test_fifty_heavy_plugins_are_not_imported_by_help_and_tab(algo_home: Home, plugin_folder: Any) -> None:
    """What they cost in time, `benchmarks/plugins.py` measures."""
    tab = {"_ALGO_COMPLETE": "bash", "_ALGO_LINE": "algo c"}
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    alone = imported(algo_home, "--help"), imported(algo_home, "algo c", "c", **tab)
    for number in range(50):
        plugin_folder.add(f"acme-{number}", HEAVY_PLUGIN.format(number=number))
    assert algo_home.run("--help").text.count("  heavy-") == 50
    assert (imported(algo_home, "--help"), imported(algo_home, "algo c", "c", **tab)) == alone


HEAVY_PLUGIN = """
import asyncio, requests, sqlite3
from algo_core import Command, hookimpl

@hookimpl
def algo_commands():
    return [Command("heavy-{number}", "acme_{number}.commands:run", help="Do something useful.", group="Acme")]
"""


@pytest.mark.parametrize("words", [("ls",), ("ls", "-l", ".my"), ("run", "demo/Hello", "-d", "x"), ("cat", ".my/c/f")])
def test_commands_on_the_embedded_platform_need_no_http(algo_home: Home, words: tuple[str, ...]) -> None:
    """It is called in the same process: nothing of what sends and reads HTTP has to be there."""
    (algo_home.root / "f").write_text("content")
    assert algo_home.run("mkdir", ".my/c").code == algo_home.run("cp", "f", "data://.my/c/f").code == ExitCode.OK
    modules = imported(algo_home, *words)
    assert "algo_local.web.transport" in modules
    assert modules & {"requests", "urllib3", "email", "email.utils", "ssl", "http.client", "certifi"} == set()


def test_a_plugin_module_imports_nothing_heavy(algo_home: Home) -> None:
    for record in algo_home.run("plugins", "list", "--json").json:
        code = f"import sys, {record['module']}; sys.stdout.write(' '.join(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert (
            set(done.stdout.split()) & {"requests", "sqlite3", "tomlkit", "platformdirs", "importlib_metadata"} == set()
        )


def test_a_configuration_is_checked_without_anything_heavy(algo_home: Home) -> None:
    algo_home.write_config(
        'timeout = 5\n[profiles.default]\naddress = "https://a.example"\n'
        '[plugins]\ndisabled = ["acme"]\ninstalled = ["acme-one", "acme-two>=1.5,<2", "acme==1.*"]\n'
    )
    algo_home.write_site_config('[plugins]\ndeny = ["acme-old<2"]\n[enforce]\nretries = 2\n')
    assert imported(algo_home, "--help") & (HEAVY | {"packaging", "difflib"}) == set()
