"""Documentation pages as sessions: what they tell people to type is typed, and what they show must come out."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from algo_core.errors import ExitCode
from algo_core.testing import SECONDS

_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Session:
    """Follows a page in a directory.

    A block `console` holds commands, each after `$ `, and their output, in which `...` stands for anything; a command
    must succeed unless its output starts with `error:`. A block with a file name (`toml config.toml`) is that file.
    `stands_for` says what the page's example values are here.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str], stands_for: Mapping[str, str]) -> None:
        self.directory = directory
        self.environ = dict(environ)
        self.stands_for = dict(stands_for)

    def follow(self, page: Path) -> int:
        """Do all that the page says; the number of commands that were run."""
        count = 0
        for kind, name, text in _FENCE.findall(page.read_text("utf-8")):
            if kind == "console":
                for command, shown in _commands(text):
                    self._run(command, shown)
                    count += 1
            else:
                assert name, f"a block of {kind} in {page.name} is no file"
                path = self.directory / self._here(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._here(text), "utf-8")
        return count

    def _run(self, command: str, shown: str) -> None:
        if command.startswith("cd "):
            self.directory = self.directory / command[3:]
            return
        done = subprocess.run(
            ["bash", "-c", self._here(command)],
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        said = self._there(done.stdout)
        assert (done.returncode != ExitCode.OK) == shown.startswith("error:"), f"$ {command}\n{said}"
        pattern = ".*".join(re.escape(part) for part in re.split(r"\n?\.\.\.\n?", shown.strip()))
        assert not shown or re.fullmatch(pattern, said.strip(), re.DOTALL), f"$ {command}\n{said}\n--- shown:\n{shown}"

    def _here(self, text: str) -> str:
        for example, real in self.stands_for.items():
            text = text.replace(example, real)
        return text

    def _there(self, text: str) -> str:
        for example, real in self.stands_for.items():
            text = text.replace(real, example)
        return text


def _commands(block: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        assert shlex.split(command)
        yield command, shown
