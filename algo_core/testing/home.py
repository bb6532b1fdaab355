"""An isolated home, and the real `algo` run in it as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 120.0
"""Time limit of a command in seconds."""

_FOREIGN = ("ALGO", "XDG_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Result:
    """The result of a finished `algo`: its exit code and output."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """stdout as text."""
        return self.stdout.decode("utf-8")

    @property
    def json(self) -> Any:
        """stdout as a JSON value."""
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        """The last `error` object that `--json` printed on stderr."""
        *_, last = (told["error"] for line in self.stderr.splitlines() if "error" in (told := json.loads(line)))
        return last


class Home:
    """An isolated home directory, independent of the user who runs the tests.

    `environ` is what commands run with; change it to set more. `cache` is where the plugin index is kept; sharing one
    between homes saves looking at every plugin again. `program` is the `algo` to run, without which it is the one of
    the interpreter of the tests.
    """

    def __init__(
        self,
        root: Path,
        *,
        cache: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        program: Path | None = None,
    ) -> None:
        self.root = root
        self.program = program or Path(sys.executable).with_name("algo")
        self.config_file = root / "config" / "config.toml"
        self.site_file = root / "site.toml"
        kept = {name: value for name, value in environ.items() if not name.startswith(_FOREIGN)}
        proxies = {name for name in kept if name.lower().endswith("_proxy")}
        self.environ: dict[str, str] = {
            **{name: value for name, value in kept.items() if name not in proxies},
            "HOME": str(root),
            "ALGO_CONFIG_DIR": str(root / "config"),
            "ALGO_CACHE_DIR": str(cache or root / "cache"),
            "ALGO_LOCAL_ROOT": str(root / "local"),
            "ALGO_LOCAL_KEEP_SECONDS": "0",
            "ALGO_SITE_CONFIG": str(self.site_file),
        }
        root.mkdir(parents=True, exist_ok=True)

    def run(
        self,
        *arguments: str | Path,
        input: bytes | str | None = None,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        timeout: float = SECONDS,
    ) -> Result:
        """Run `algo` with these arguments as a process of its own; stdin is empty unless `input` is given.

        Raises:
            subprocess.TimeoutExpired: if it takes longer than `timeout` seconds.
        """
        done = subprocess.run(
            self.command(*arguments),
            input=input.encode() if isinstance(input, str) else input or b"",
            capture_output=True,
            cwd=cwd or self.root,
            env={**self.environ, **(environ or {})},
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def command(self, *arguments: str | Path) -> list[str]:
        """The words that start `algo`."""
        return [str(self.program), *map(str, arguments)]

    def complete(self, *words: str) -> list[str]:
        """The completions after `algo WORDS...`; the last word is being typed, and may be empty."""
        from algo_core.terminal.completion.posix import quoted, unquoted

        *before, typed = words
        answer = self.run(*before, "", quoted(typed), environ={"_ALGO_COMPLETE": "zsh"})
        found = answer.stdout.decode("utf-8", "surrogateescape").split("\0")[1::3]
        return [unquoted(word)[0] for word in found]

    def write_config(self, text: str) -> None:
        """Write the user's configuration file."""
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(text, "utf-8")

    def write_site_config(self, text: str) -> None:
        """Write the administrator's configuration file."""
        self.site_file.write_text(text, "utf-8")
