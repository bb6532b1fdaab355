"""What a plugin returned may try to end the process, or fail like the system: that is an error that names the plugin."""

from __future__ import annotations

import json

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home

PLUGIN = """
import os
from algo_core import Command, Connector, DoctorCheck, hookimpl

class Stop(BaseException):
    pass

def odd(*arguments, **named):
    exec(os.environ["ODD"], globals())

@hookimpl
def algo_connectors():
    return [Connector("acme", "acme_odd.storage:open_storage", "Odd.")]

@hookimpl
def algo_commands():
    return [Command("acme", "acme_odd.storage:acme", "Odd.")]

@hookimpl
def algo_doctor_checks():
    return [DoctorCheck("odd", odd)]

class Transport:
    send = pipeline = close = odd
    needs_checked_body = False

@hookimpl
def algo_transport(profile):
    return Transport() if profile.address.startswith("https://odd.") else None
"""
STORAGE = """
import click
from algo_core.storage.contract import Entry, Kind, Storage
from acme_odd.plugin import odd

class Reader:
    offset = 0
    readinto = odd

    def __init__(self, uri):
        self.entry = Entry(uri, Kind.FILE, 5)

    def close(self):
        pass

class Odd(Storage):
    write = mkdir = remove = rmdir = odd

    def stat(self, uri):
        name = uri.name
        if name == "stat":
            odd()
        return Entry(uri, Kind.DIRECTORY if name.startswith("d") else Kind.FILE, 5)

    def list(self, uri):
        if uri.name == "d":
            yield Entry(uri.child("d2"), Kind.DIRECTORY)
            yield Entry(uri.child("file"), Kind.FILE, 5)
        odd()

    def open(self, uri, offset=0, *, version=None):
        return Reader(uri)

def open_storage(app, uri):
    if uri.path == "opening":
        odd()
    return Odd()

@click.command()
def acme():
    odd()
"""

EXITS = {
    "raise SystemExit(0)": "it called sys.exit(0)",
    "import sys; sys.exit('no such vault')": "it called sys.exit('no such vault')",
    "import argparse; argparse.ArgumentParser(prog='x').parse_args(['--nonsense'])": "it called sys.exit(2)",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise Stop('stop')": "Stop: stop",
    "raise BrokenPipeError(32, 'Broken pipe')": "BrokenPipeError: [Errno 32] Broken pipe",
    "open('/nothing/here')": "FileNotFoundError: [Errno 2] No such file or directory: '/nothing/here'",
}
CALLS = [
    ["ls", "acme://opening"],
    ["ls", "acme://stat"],
    ["ls", "acme://d"],
    ["ls", "-R", "acme://d"],
    ["du", "acme://d"],
    ["stat", "acme://stat"],
    ["cat", "acme://file"],
    ["cp", "acme://file", "./copy"],
    ["cp", "-r", "acme://d", "./copies"],
    ["cp", "./local", "acme://d/file"],
    ["sync", "./tree", "acme://d"],
    ["rm", "acme://file"],
    ["mkdir", "acme://new"],
    ["run", "demo/Hello", "-d", "x"],
    ["ls", "data://.my"],
    ["run", "demo/Hello", "--each", "./local"],
    ["algorithms", "list"],
]


@pytest.fixture
def home(algo_home: Home, plugin_folder) -> Home:
    package = plugin_folder.add("acme-odd", PLUGIN)
    (package / "storage.py").write_text(STORAGE)
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    algo_home.write_config(
        '[profiles.default]\naddress = "https://odd.example"\napi_key = "simkkkkkkkkkkkkkkkkkkkkkkkkk"\n'
    )
    (algo_home.root / "local").write_text("12345")
    (algo_home.root / "tree").mkdir()
    (algo_home.root / "tree" / "file").write_text("12345")
    return algo_home


@pytest.mark.parametrize(("odd", "told"), EXITS.items())
def test_each_way_to_end_is_an_error_of_the_plugin(home: Home, odd: str, told: str) -> None:
    home.environ["ODD"] = odd
    for words in (["ls", "acme://d"], ["cp", "acme://file", "./copy"], ["run", "demo/Hello", "-d", "x"]):
        done = home.run(*words, "--json", cwd=home.root)
        assert done.code == ExitCode.PLUGIN, (words, done.stderr)
        (message,) = (json.loads(line)["error"]["message"] for line in done.stderr.splitlines() if '"error"' in line)
        assert message.startswith("The plugin acme-odd 1.0 failed"), words
        assert message.endswith(f": {told}"), words
    assert not (home.root / "copy").exists()


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_wherever_a_plugin_is_called(home: Home, words: list[str]) -> None:
    home.environ["ODD"] = "import sys; sys.exit(0)"
    done = home.run(*words, cwd=home.root)
    assert done.code == ExitCode.PLUGIN, done.stderr
    assert "error: The plugin acme-odd 1.0 failed: it called sys.exit(0)\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_check_that_exits_does_not_end_the_others(home: Home) -> None:
    home.environ["ODD"] = "raise SystemExit(0)"
    done = home.run("doctor", "--json")
    assert done.code == ExitCode.FAILURE
    rows = {row["check"]: row for row in done.json}
    assert not rows["odd"]["ok"]
    assert "it called sys.exit(0)" in str(rows["odd"])


@pytest.mark.parametrize(
    ("odd", "code"), [("raise SystemExit(7)", ExitCode.PLATFORM), ("raise SystemExit", ExitCode.OK)]
)
def test_a_command_may_end_itself(home: Home, odd: str, code: int) -> None:
    home.environ["ODD"] = odd
    assert home.run("acme").code == code


def test_an_error_of_the_system_in_a_command_is_about_its_own_files(home: Home) -> None:
    home.environ["ODD"] = "open('/nothing/here')"
    done = home.run("acme")
    assert (done.code, done.stderr) == (ExitCode.NOT_FOUND, "error: No such file or directory: /nothing/here\n")


def test_tab_says_nothing(home: Home) -> None:
    home.environ["ODD"] = "raise SystemExit(3)"
    assert home.complete("ls", "acme://d/") == []
    assert home.complete("run", "") == []
