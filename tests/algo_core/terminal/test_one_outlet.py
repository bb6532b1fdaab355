"""Standard output and standard error have one writer, and no child process gets the terminal unnoticed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

ALLOWED = {
    "algo_core/terminal/output.py": {"sys.stdout", "sys.stderr"},  # is the outlet
    "algo_core/main.py": {"sys.stdout", "sys.stderr"},  # puts streams in the place of closed ones; prints the version
    "algo_core/observers.py": {"sys.stdout", "sys.stderr"},  # what an observer prints goes to standard error
    "algo_core/terminal/prompts.py": {"sys.stderr", "from getpass import getpass"},  # made harmless before
    "algo_core/commands/config.py": {"click.edit"},  # the person's own editor on their own file
    "algo_core/bridge/launch.py": {"subprocess.run()", "subprocess.Popen()"},  # isolated: a program of its own
    "algo_core/testing/wellformed.py": {"sys.stdout"},  # runs in a process of its own, whose output is read
    "plugins/algo_manage/algo_manage/commands/clone.py": {"subprocess.run()"},  # git's own progress on the terminal
    "plugins/algo_local/algo_local/algorithms/installation/tether.py": {
        "os.execvp"
    },  # becomes an installer, whose output is read
    "plugins/algo_local/algo_local/commands/trial.py": {"subprocess.run()"},  # the person's own shell, or pytest
    "plugins/algo_local/algo_local/serving/log.py": {"sys.stderr"},  # asks whether it takes more, and writes nothing
    "plugins/algo_local/algo_local/execution/inside/runner.py": {
        "sys.stdout",
        "sys.stderr",
    },  # in the algorithm's process
    "plugins/algo_local/algo_local/execution/inside/supervisor.py": {"os.execv"},  # the same, in the place of runner.py
}
"""Who may do what all the same, and why."""

WRITERS_OF_CLICK = {"echo", "secho", "confirm", "prompt", "progressbar", "pause", "edit", "echo_via_pager", "clear",
                    "get_text_stream", "get_binary_stream", "launch"}  # fmt: skip
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
STARTERS = {"run", "Popen", "call", "check_call", "check_output"}
INHERITING = {"system", "popen", "execv", "execve", "execvp", "execvpe", "execl", "spawnv", "spawnvp", "posix_spawn"}


def sources() -> list[str]:
    found = [*ROOT.glob("algo_core/**/*.py"), *ROOT.glob("plugins/*/algo_*/**/*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found if "templates" not in path.parts)


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called = f"{node.value.id}.{node.attr}"
            if (
                (node.value.id == "sys" and node.attr in STREAMS)
                or (node.value.id == "click" and node.attr in WRITERS_OF_CLICK)
                or (node.value.id == "os" and node.attr in INHERITING)
                or called in {"logging.StreamHandler", "logging.basicConfig", "getpass.getpass"}
            ):
                yield called
        elif isinstance(node, ast.ImportFrom) and node.module in {"sys", "click", "getpass", "subprocess", "os"}:
            banned = STREAMS | WRITERS_OF_CLICK | STARTERS | INHERITING | {"getpass"}
            yield from (f"from {node.module} import {n.name}" for n in node.names if n.name in banned)
        elif isinstance(node, ast.Call):
            yield from _call(node)


def _call(node: ast.Call) -> Iterator[str]:
    if isinstance(node.func, ast.Name) and node.func.id in {"print", "input"}:
        yield f"{node.func.id}()"
    if not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
        return
    name, module = node.func.attr, node.func.value.id
    given = {keyword.arg for keyword in node.keywords}
    if module == "subprocess" and name in STARTERS and not ("capture_output" in given or given >= {"stdout", "stderr"}):
        yield f"subprocess.{name}()"  # its output goes where ours does
    if module == "os" and name == "write" and isinstance(node.args[0], ast.Constant):
        yield f"os.write({node.args[0].value})"


@pytest.mark.parametrize("path", sources())
def test_only_the_outlet_writes(path: str) -> None:
    found = set(offences((ROOT / path).read_text("utf-8")))
    assert found == ALLOWED.get(path, set()), f"{path}: write with app.output, and read what a child process prints"


@pytest.mark.parametrize(
    "source",
    ["import sys\nsys.stdout.write('x')", "import sys\nwrite = sys.stderr.write", "import click\nclick.secho('x')",
     "from click import echo", "print('x')", "import os\nos.write(1, b'x')", "import subprocess\nsubprocess.run(['git'])",
     "import subprocess\nsubprocess.Popen(['git'], stdout=-1)", "import os\nos.system('git')", "from sys import stdout",
     "import logging\nlogging.basicConfig()", "input('?')", "from subprocess import run", "from getpass import getpass"],
)  # fmt: skip
def test_the_rule_sees_it(source: str) -> None:
    assert len(list(offences(source))) == 1
