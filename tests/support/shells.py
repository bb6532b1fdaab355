"""Interactive shells on a terminal, whose `algo` completes from the names of a test and tells what it is run with."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import pexpect
from click.shell_completion import CompletionItem

from algo_core.terminal.completion import answer, script
from algo_core.terminal.output import Output
from support.hostile import EVIL_NAME

PATIENCE = 60


class Shell(NamedTuple):
    """How a shell is started with nothing of the person's, and the quotes that can be begun in it."""

    name: str
    command: tuple[str, ...]
    quotes: tuple[str, ...]


SHELLS = {
    shell.name: shell
    for shell in (
        Shell("bash", ("bash", "--norc", "--noprofile", "-i"), ("", "'", '"', "$'")),
        Shell("zsh", ("zsh", "-f", "-i"), ("", "'", '"', "$'")),
        Shell("fish", ("fish", "--no-config", "--private", "-i"), ("", "'", '"')),
    )
}


NAMES = [
    "plain", "q$(touch X)", "q`touch X`", "rep ort.txt", "a,b", "it's", '"x"', "'", '"', "b\\s", "\\", "ends\\", "a!b", "!!",
    "!$", "^a^b", "*", "a*b?c[d]", "~", "~root", "a~b", "-rf", "--profile", "$HOME", "${HOME}", "$", "a;touch X", "a&b|c",
    "a>b<c", "(x)", "{a,b}", "#x", "x#y", "=", "=ls", "a=b", "%1", "@x", "a:b", "data://.my/a:b=c d@e", "  ", " lead", "trail ",
    "new\nline", "\n", "tab\tname", "esc\x1b[31mx", "bell\x07", "cr\rx", "é€😀", "日本 語", "e\u0301", "\xa0nbsp", "\u3000wide",
    "zero\u200bwidth", "over\u202eride", "c1\x9b31m", "bytes\udcff\udc80", "x" * 3000, "'\"`$!\\ \n\t~*", "a'b\"c'd\"e",
    "it's \"both\" $x!", "\x7f", "--", "-", "a\\nb", "\\x41", "$'a'", "><", "\U000e0041tag", EVIL_NAME,
]  # fmt: skip


def random_texts(count: int) -> list[str]:
    """Words of characters that mean something to a shell, the same in every run."""
    dice = random.Random(7)
    alphabet = "ab/.:=-~!$`\"'\\*?[]{}()<>|&;#^%@,+ \t\n\x1b\x7fé€😀\u200b\x9b\udcff0123456789xuU"
    return ["".join(dice.choices(alphabet, k=dice.randint(1, 12))) for _ in range(count)]


def completing(names: Sequence[str]) -> click.Group:
    """`algo one N NAME` completes to the name with that number, `algo any NAME` to those that begin so.

    `algo open N NAME` is like `one`, but the word goes on.
    """

    def one(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        found = names[int(ctx.params["number"])]
        return [CompletionItem(found)] if found.startswith(typed) else []

    def opened(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        return [CompletionItem(item.value, "open") for item in one(ctx, parameter, typed)]

    def any_of(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names if name.startswith(typed)]

    def made(name: str, complete: object) -> click.Command:
        parameters = [click.Argument(["number"])] if name in {"one", "open"} else []
        return click.Command(name, params=[*parameters, click.Argument(["name"], nargs=-1, shell_complete=complete)])

    return click.Group("algo", commands=[made("one", one), made("open", opened), made("any", any_of), click.Command("files", params=[
        click.Argument(["file"], type=click.Path())
    ])])  # fmt: skip


class Session:
    """A shell with the completion script in it. `type` sends keys; `arguments` are those that `algo` was then run with."""

    def __init__(self, shell: Shell, root: Path, names: Sequence[str]) -> None:
        self.root = root
        self._answers = _Answers(shell.name, root, completing(names))
        (root / "bin").mkdir()
        (root / "script").write_text(script(shell.name))
        algo = root / "bin" / "algo"
        algo.write_text(_ALGO.format(root=root))
        algo.chmod(0o755)
        environ = {
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(root),
            "TERM": "dumb" if shell.name != "fish" else "xterm",
            "LC_ALL": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(root),  # fish would leave a pipe in /tmp
            "PS1": "> ",
        }
        command, *rest = shell.command
        self.child = pexpect.spawn(
            command, rest, env=environ, cwd=str(root), encoding="utf-8", codec_errors="surrogateescape", timeout=PATIENCE,
            dimensions=(50, 200),
        )  # fmt: skip
        self.child.delaybeforesend = None
        self.seen = ""
        setup = {
            "bash": "source ./script; history -s algo earlier",
            "zsh": "autoload -U compinit; compinit -D; source ./script; unsetopt zle_bracketed_paste",
            "fish": "source ./script; function fish_prompt; echo '> '; end",
        }[shell.name]
        self.child.sendline(f"{setup}; algo ready")
        assert self.arguments() == ["ready"]

    def type(self, text: str) -> None:
        """Send keys; a tab waits for its answer, so that what follows is not taken for something else."""
        for part in text.replace("\t", "\0\t\0").split("\0"):
            if part == "\t":
                asked = self._answers.count
                self.child.send(part)
                self._until(lambda asked=asked: self._answers.count > asked, text)
            else:
                self.child.send(part)

    def arguments(self) -> list[str]:
        """The arguments of the next run."""
        told = self.root / "told"
        self._until(told.exists, "no run of algo")
        content = told.read_bytes()
        told.unlink()
        return [word.decode("utf-8", "surrogateescape") for word in content.split(b"\0")[:-1]]

    def _until(self, is_so: object, what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():  # type: ignore[operator]
            self.read()
            assert time.monotonic() < end, f"{what!r}: {self.seen[-500:]!r}"

    def wait_for(self, text: str) -> None:
        """Take in what the terminal gets, up to a text."""
        self._until(lambda: text in self.seen, text)

    def read(self) -> None:
        """Take in what the terminal has got."""
        try:
            self.seen += self.child.read_nonblocking(1 << 16, 0.02)
        except (pexpect.TIMEOUT, pexpect.EOF):
            pass

    def close(self) -> None:
        """End the shell, and whoever answers it."""
        self.child.close(force=True)
        self._answers.close()


_ALGO = """#!/bin/sh
if [ -n "$_ALGO_COMPLETE" ]; then
    {{ printf '%s\\0' "$_ALGO_COMPLETE" "$@"; }} > '{root}/asked'
    exec cat '{root}/answered'
fi
printf '%s\\0' "$@" > '{root}/told.new'
mv '{root}/told.new' '{root}/told'
"""


class _Answers(threading.Thread):
    """Answers completion scripts in this process, so that a hundred of them take no minute."""

    def __init__(self, shell: str, root: Path, command: click.Group) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self._shell, self._command = shell, command
        self._asked, self._answered = root / "asked", root / "answered"
        os.mkfifo(self._asked)
        os.mkfifo(self._answered)
        self.start()

    def run(self) -> None:
        while words := self._asked.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]:
            instruction, *arguments = words
            with open(self._answered, "wb") as file, open(file.fileno(), "w", closefd=False) as text:
                app = Running({}, Output(stdout=text))
                answer(self._command, app, instruction, arguments)
                app.output.stdout.flush()
            self.count += 1

    def close(self) -> None:
        self._asked.write_bytes(b"")
        self.join()


class Running(NamedTuple):
    """As much of an `App` as completion needs."""

    environ: dict[str, str]
    output: Output
