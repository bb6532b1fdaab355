"""What the tests take over from the machine and from the person who runs them: a few variables, and nothing else.

Everything below happens once, in the process that was started by a person; the workers of a parallel run inherit it.
"""

from __future__ import annotations

import ast
import codecs
import locale
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

KEPT = re.compile(r"TMPDIR|CI|LD_LIBRARY_PATH|PYTEST_(?!ADDOPTS$|PLUGINS$)\w+")
"""The variables that stay as they are."""

FOREIGN = re.compile(r"algo(-.*)?|pipx?[\d.]*|uvx?|pythonw?[\d.]*(-config)?|py|rclone|conda|mamba|poetry|pyenv(-.*)?")
"""Programs that the tests, or `algo` in them, would take for their own; the tests bring those that they need."""

INDEX = {
    *("index-url", "extra-index-url", "find-links", "no-index"),
    *("cert", "client-cert", "trusted-host", "proxy", "timeout", "retries", "default-timeout", "cache-dir"),
}
"""Settings of pip that say how packages are reached from here; others say what to do with them."""


def take_signals() -> None:
    """Have SIGTERM end the tests as Ctrl-C does, with all that they have started, and what they start end by any signal.

    A shell that starts the tests in the background has them ignore Ctrl-C, and `nohup` a hang-up; their children would
    inherit that. A handler they do not.
    """
    main = os.getpid()

    def end(number: int, frame: object) -> None:
        if os.getpid() == main:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)  # in a process that was forked
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)


def isolate(config: pytest.Config, directory: Path) -> None:
    """Give this process, and all that it starts, an environment that is the same everywhere; files go to `directory`."""
    _speak_utf8(config)
    environ = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    environ |= index_settings(os.environ)
    for name in ("home", "bin"):
        (directory / name).mkdir()
    environ["PATH"] = link_tools(os.environ.get("PATH", os.defpath), directory / "bin")
    # Where tests keep their files stays where it was: temporary files are elsewhere, see `support.leftovers`.
    environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    environ |= {"HOME": str(directory / "home"), "LANG": "C.UTF-8", "TZ": "UTC", "ALGO_LOCAL_KEEP_SECONDS": "0"}
    environ["LOGNAME"] = environ["USER"] = _login_name()
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.umask(0o022)


def index_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that let pip reach packages as it does for this person, without anything else they have set."""
    variables = {name: f"PIP_{name.upper().replace('-', '_')}" for name in (*INDEX, "config-file")}
    asking = {k: v for k, v in environ.items() if not k.startswith("PIP_") or k in variables.values()}
    words = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(words, env=asking, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    for level in ("global", "site", "user", "install", ":env:"):  # from the weakest to the strongest
        for name, value in re.findall(rf"^{level}\.([\w-]+)=(.*)$", said, re.MULTILINE):
            if name in INDEX:
                found[variables[name]] = str(ast.literal_eval(value))
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    cache = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/"), ".cache")) / "pip"
    defaults = {"PIP_PROXY": proxy or "", "PIP_CACHE_DIR": str(cache) if os.access(cache, os.W_OK) else ""}
    return {name: value for name, value in defaults.items() if value} | found | {"PIP_CONFIG_FILE": os.devnull}


def link_tools(path: str, directory: Path) -> str:
    """A `PATH` of one directory: links to all programs on `path` but those in `FOREIGN`."""
    for place in map(Path, path.split(os.pathsep)):
        for name in os.listdir(place) if place.is_absolute() and os.access(place, os.R_OK) and place.is_dir() else ():
            link = directory / name
            if not FOREIGN.fullmatch(name) and not link.is_symlink() and os.access(place / name, os.X_OK):
                link.symlink_to(place / name)
    return str(directory)


def _speak_utf8(config: pytest.Config) -> None:
    """Start anew if the interpreter took another encoding from the locale: it cannot be changed afterwards."""
    found = {codecs.lookup(name).name for name in (locale.getpreferredencoding(False), sys.getfilesystemencoding())}
    if found == {"utf-8"}:
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.stop_global_capturing()
    encodings = ("LC_", "LANG", "PYTHONUTF8", "PYTHONCOERCECLOCALE", "PYTHONIOENCODING")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(encodings)}
    os.execve(sys.executable, sys.orig_argv, {**environ, "LANG": "C.UTF-8"})


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"
