"""Commands that are killed at a counted event: before a file is made, renamed or removed, or SQL is executed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SERVER = """
import gc, importlib, json, os, signal, sqlite3, sys
sys.dont_write_bytecode = True  # modules that are imported later would be events of whichever run comes first
for name in ("algo_core.main", "algo_core.cli", "algo_local.commands.publish", "algo_local.opening", "algo_local.sample_runs",
             "algo_local.commands.local", "algo_local.serving.http.server", "algo_local.web.app",
             "algo_local.backups.backup", "algo_local.backups.restore"):
    importlib.import_module(name)
from algo_core.main import main
COUNTED = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "subprocess.Popen"}

def run(words, last, shown):
    events = 0
    def count(*_):
        nonlocal events
        events += 1
        if events == last:
            os.kill(os.getpid(), signal.SIGKILL)
        os.pwrite(counted, b"%9d" % events, 0)
    def hook(event, arguments):
        if event in COUNTED or event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            count()
    def counting(execute):
        def counted(*arguments, **options):
            count()
            return execute(*arguments, **options)
        return counted
    def connect(*arguments, **options):
        made = opened(*arguments, **options)
        made.set_trace_callback(count)
        return made
    opened, sqlite3.connect = sqlite3.connect, connect
    if any("postgresql://" in word for word in words):
        import psycopg
        for kind, name in ((psycopg.Connection, "execute"), (psycopg.Cursor, "execute"), (psycopg.Cursor, "executemany")):
            setattr(kind, name, counting(getattr(kind, name)))
    counted = os.open(f"{shown}.count", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.addaudithook(hook)
    sys.argv = ["algo", *words]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code or 0)

gc.freeze()
for line in sys.stdin:
    child = os.fork()
    if not child:
        run(*json.loads(line))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Doomed:
    """Runs commands that are killed at a counted event."""

    def __init__(self, environ: dict[str, str], directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )
        self._directory = directory
        self._runs = 0
        self.events = 0

    def start(self, *words: str | Path, last: int = 0) -> int:
        """Start a command that is killed before its event number `last`, 0 for never; its process id."""
        self._runs += 1
        assert self._process.stdin
        self._process.stdin.write(json.dumps([list(map(str, words)), last, str(self._shown)]) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self) -> tuple[int, str]:
        """Wait for the command; its exit code and what it said. `events` are those that it counted."""
        code = int(self._line())
        self.events = int(self._shown.with_suffix(".count").read_text())
        return code, self.said()

    def said(self) -> str:
        return self._shown.read_text() if self._shown.exists() else ""

    @property
    def _shown(self) -> Path:
        return self._directory / f"run-{self._runs}"

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
