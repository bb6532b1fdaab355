"""Examines plugins in a separate process, so that loading them cannot end or mislead this one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from algo_core.errors import PluginError

MARK = "algo-probe:"

_PLUGINS = """
if not sys.path[0]:
    sys.path[0] = sys.prefix  # never what lies in the current directory
from algo_core.context import App
records = App().plugins.rebuild()
found = [{"distribution": r.dist, "version": r.version, "error": r.error, "refusal": r.refusal,
          "commands": {name: text for name, _, text, *_ in r.commands if " " not in name},
          "connectors": [scheme for scheme, *_ in r.connectors], "hooks": r.hooks} for r in records]
"""
_SCRIPTS = """
from importlib.metadata import distribution
found = [entry.name for entry in distribution(sys.argv[1]).entry_points if entry.group == "console_scripts"]
"""
_END = f"""
import json
sys.stdout.write({MARK!r} + json.dumps(found) + chr(10))
"""


def plugins(environ: Mapping[str, str], python: str = sys.executable, *, isolated: bool = False) -> list[Any]:
    """Build the index of an interpreter anew; each plugin as an object with what it has and why it is broken.

    Raises:
        PluginError: if the process did not get to its end.
    """
    return _ask(environ, python, _PLUGINS, isolated)


def scripts(environ: Mapping[str, str], python: str, name: str) -> list[str]:
    """The names of the console scripts of a distribution in another environment."""
    return [str(script) for script in _ask(environ, python, _SCRIPTS, True, name)]


def _ask(environ: Mapping[str, str], python: str, program: str, isolated: bool, *words: str) -> list[Any]:
    command = [python, *(["-I"] if isolated else []), "-c", f"import sys\n{program}{_END}", *words]
    done = subprocess.run(command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith(MARK):
            answer: list[Any] = json.loads(line[len(MARK) :])
            return answer
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise PluginError(f"A plugin ended the process that loaded it (exit code {done.returncode}): {last[0]}")
