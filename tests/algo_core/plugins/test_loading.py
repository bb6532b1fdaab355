"""A module that ends its process while it is loaded is named and left out, and ends nothing else."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

from algo_core import App
from algo_core.errors import ExitCode
from algo_core.testing import Home

HEAD = "from algo_core import Command, hookimpl\n"
COMMANDS = "@hookimpl\ndef algo_commands():\n    return [Command('acme', 'acme_bad.commands:run', 'Say acme.')]\n"

ENDS = {
    "os._exit": ("import os; os._exit(3)\n", "it ended the process that loaded it (exit code 3)"),
    "os._exit(0)": ("import os; os._exit(0)\n", "it ended the process that loaded it (exit code 0)"),
    "sys.exit": ("import sys; sys.exit(4)\n", "it called sys.exit(4)"),
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", "(SIGSEGV)"),
    "an abort": ("import os; os.abort()\n", "(SIGABRT)"),
    "SIGKILL": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", "(SIGKILL)"),
    "SIGTERM": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)\n", "(SIGTERM)"),
    "its own Ctrl-C": ("raise KeyboardInterrupt\n", "(exit code 130)"),
    "a fork that goes on": ("import os\nif os.fork():\n    os._exit(5)\n", "(exit code 5)"),
    "another program": ("import os; os.execv('/bin/sh', ['sh', '-c', 'exit 6'])\n", "(exit code 6)"),
    "closed descriptors": ("import os; os.closerange(3, 100)\n", "it ended the process that loaded it"),
    "in its hook": (HEAD + "@hookimpl\ndef algo_commands():\n    import os\n    os._exit(7)\n", "(exit code 7)"),
    "a thread that stays": ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n1/0\n", "ZeroDivisionError"),
    "memory": ("import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 26, 1 << 26))\nx = b'x' * (1 << 28)\n", "MemoryError"),
}  # fmt: skip


@pytest.fixture
def home(algo_home: Home, plugin_folder) -> Home:
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return algo_home


@pytest.mark.parametrize("how", ENDS)
def test_what_ends_its_process_is_named_and_left_out(home: Home, plugin_folder, add_command, how: str) -> None:
    source, said = ENDS[how]
    marker = home.root / "loaded"
    plugin_folder.add("acme-bad", f"open({str(marker)!r}, 'a').write('x')\n" + source)
    add_command("acme-after", "after")
    add_command("a-before", "before")
    first = home.run("after")
    assert (first.code, first.text) == (ExitCode.OK, "hello\n"), first
    assert "the plugin acme-bad 1.0 is broken: " in first.stderr
    assert said in first.stderr
    assert "algo plugins disable acme-bad" in first.stderr
    assert home.run("before").stderr == ""
    assert marker.read_text() == "x", "it is loaded once"
    listed = {row["distribution"]: row["status"] for row in home.run("plugins", "list", "--json").json}
    assert said in listed["acme-bad"]
    assert (listed["acme-after"], listed["a-before"]) == ("ok", "ok")


def test_several_that_end_their_process_are_all_named(home: Home, plugin_folder, add_command) -> None:
    for number in range(1, 5):
        plugin_folder.add(f"acme-{number}", f"import os; os._exit({number})\n")
    add_command("acme-good", "good")
    first = home.run("good")
    assert first.text == "hello\n"
    for number in range(1, 5):
        assert f"acme-{number} 1.0 is broken: it ended the process that loaded it (exit code {number})" in first.stderr


def test_a_command_keeps_its_place_when_its_plugin_ends_the_process(home: Home, add_command) -> None:
    package = add_command("acme-bad", "acme")
    assert home.run("acme").code == ExitCode.OK
    (package / "plugin.py").write_text("import os\nos._exit(0)\n")
    assert "(broken: acme-bad 1.0) Say acme." in home.run("--help").text
    result = home.run("acme")
    assert result.code == ExitCode.PLUGIN
    assert "it ended the process that loaded it" in result.stderr
    (package / "plugin.py").write_text(HEAD + COMMANDS)
    assert home.run("acme").code == ExitCode.OK, "it is looked at again once it has changed"


def test_what_plugins_print_while_they_are_loaded_is_no_result(home: Home, plugin_folder, add_command) -> None:
    plugin_folder.add("acme-loud", "import os\nprint('loud')\nos.system('echo louder')\nos.write(1, b'loudest')\n")
    add_command("acme-good", "good")
    assert home.run("good").text == "hello\n"


def test_completion_says_nothing_of_what_is_broken(home: Home, plugin_folder, add_command) -> None:
    plugin_folder.add("acme-bad", "import os; os._exit(3)\n")
    add_command("acme-good", "good")
    asked = {"_ALGO_COMPLETE": "zsh_complete", "COMP_WORDS": "algo goo", "COMP_CWORD": "1"}
    result = home.run(environ=asked)
    assert result.stderr == ""
    assert "good" in result.text


def test_ctrl_c_while_plugins_are_loaded_ends_all_and_blames_nobody(home: Home, plugin_folder, add_command) -> None:
    import subprocess

    began = home.root / "began"
    plugin_folder.add("acme-slow", f"import time\nopen({str(began)!r}, 'w').close()\ntime.sleep(2)\n" + HEAD)
    started = subprocess.Popen(home.command("--help"), env=home.environ, stderr=subprocess.PIPE, start_new_session=True)
    while not began.exists():
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in said
    assert b"acme-slow" not in said
    assert not list((home.root / "cache").glob("*.index"))


def test_without_another_process_plugins_are_loaded_in_this_one(home: Home, add_command) -> None:
    """As where no more processes may be started."""
    import subprocess
    import sys

    add_command("acme-good", "good")
    code = "import sys; sys.executable = '/nowhere/python'; from algo_core.main import main; sys.argv = ['algo', 'good']; main()"
    done = subprocess.run([sys.executable, "-c", code], env=home.environ, cwd=home.root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, "hello\n", "")


@pytest.mark.parametrize("method", ["first", "only"])
def test_a_hook_counts_while_another_thread_loads_its_plugin(
    home: Home, plugin_folder, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    plugin_folder.add(
        "acme-hooks",
        "from algo_core import Profile, hookimpl\n"
        "@hookimpl\ndef algo_observe(event):\n    pass\n"
        "@hookimpl\ndef algo_default_profile(name):\n    return Profile(name, 'https://api.acme.example')\n",
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugin_folder.path)])
    plugins = App(home.environ).plugins
    assert plugins.implement("algo_observe")
    loads, has_asked, load = threading.Event(), threading.Event(), importlib.import_module
    found: list[Any] = []

    def slowly(name: str, package: str | None = None) -> Any:
        if threading.current_thread() is observer:
            loads.set()
            has_asked.wait(0.2)  # longer than the other thread needs if it does not wait for this one
        return load(name, package)

    def ask() -> None:
        assert loads.wait(60)
        found.append(getattr(plugins, method)("algo_default_profile", name="default"))
        has_asked.set()

    monkeypatch.setattr(importlib, "import_module", slowly)
    observer = threading.Thread(target=lambda: plugins.call("algo_observe", event=None))
    asking = threading.Thread(target=ask)
    for thread in (observer, asking):
        thread.start()
    for thread in (observer, asking):
        thread.join(60)
    assert [profile.address for profile in found] == ["https://api.acme.example"]
