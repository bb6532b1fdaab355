"""`app.output.progress`: a line on a terminal that makes room for everything else, and nothing anywhere else."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable

import pexpect
import pytest

from algo_core.terminal import progress as module
from algo_core.terminal.output import Output
from algo_core.testing import Home


class Screen(io.TextIOWrapper):
    """A stream that says it is a terminal, and keeps what is written."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        super().__init__(self.kept, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return self.kept.getvalue().decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal 60 columns wide, on which progress is drawn at once and at each step."""
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    monkeypatch.setattr(module, "terminal_columns", lambda: 60)
    return Screen()


def output_on(screen: Screen, **options: bool) -> Output:
    return Output(stdout=screen, stderr=screen, environ={"TERM": "xterm", "NO_COLOR": "1"}, **options)


@pytest.mark.parametrize(
    ("total", "unit", "steps", "shown"),
    [
        (4, "steps", 2, "Reading   50%  2 of 4"),
        (None, "steps", 3, "Reading  3"),
        (0, "steps", 1, "Reading  1"),
        (-1, "steps", 1, "Reading  1"),
        (-1, "bytes", 512, "Reading  512 B"),
        (4, "steps", 5, "Reading  100%  5 of 4"),
        (2048, "bytes", 1024, "Reading   50%  1.0 KiB of 2.0 KiB"),
        (None, "bytes", 512, "Reading  512 B"),
    ],
)
def test_it_shows_how_far_it_is(screen: Screen, total: int | None, unit: str, steps: int, shown: str) -> None:
    with output_on(screen).progress("Reading", total, unit=unit) as progress:  # type: ignore[arg-type]  # as told
        progress.advance(steps)
        assert f"\r\x1b[K{shown}" in screen.text
        assert progress.done == steps
    assert screen.text.endswith("\r\x1b[K")


def test_a_name_takes_the_place_of_the_label_and_is_harmless(screen: Screen) -> None:
    with output_on(screen).progress("Reading", 9) as progress:
        progress.advance(name="a\x1b[2J\nb" * 30)
    assert "\x1b[2J" not in screen.text
    assert all(len(line) < 90 for line in screen.text.split("\r"))


def test_everything_else_makes_room(screen: Screen) -> None:
    output = output_on(screen)
    with output.progress("Reading", 9) as progress:
        for write in (output.print, output.info, output.warn, output.line, output.error):
            progress.advance()
            assert not screen.text.endswith("\x1b[K")
            write("told")
            *_, erased, said = screen.text.rpartition("\r\x1b[K")
            assert (erased, said.removeprefix("warning: ").removeprefix("error: ")) == ("\r\x1b[K", "told\n")
    assert "told" in screen.text


@pytest.mark.parametrize("options", [{"is_json": True}, {"quiet": True}])
def test_where_nobody_wants_it_nothing_is_shown(screen: Screen, options: dict[str, bool]) -> None:
    with output_on(screen, **options).progress("Reading", 9) as progress:
        progress.advance(3)
        assert progress.done == 3
    assert screen.text == ""


def test_in_a_pipe_nothing_is_shown_and_no_thread_starts() -> None:
    written = io.StringIO()
    before = threading.active_count()
    with Output(stdout=written, stderr=written).progress("Reading", 9) as progress:
        progress.advance()
        assert threading.active_count() == before
    assert written.getvalue() == ""


def test_one_within_another_is_not_shown(screen: Screen) -> None:
    output = output_on(screen)
    with output.progress("Outer", 2) as outer:
        with output.progress("Inner", 2) as inner:
            inner.advance()
        outer.advance()
    assert ("Outer" in screen.text, "Inner" in screen.text) == (True, False)
    with output.progress("Next", 2) as later:
        later.advance()
    assert "Next" in screen.text


def test_after_an_error_the_line_is_gone(screen: Screen) -> None:
    output = output_on(screen)
    with pytest.raises(ValueError, match="no"), output.progress("Reading", 9) as progress:
        progress.advance()
        raise ValueError("no")
    output.info("told")
    assert screen.text.endswith("\r\x1b[Ktold\n")


def test_several_threads_count_together(screen: Screen) -> None:
    with output_on(screen).progress("Reading", 400) as progress:
        threads = [threading.Thread(target=lambda: [progress.advance() for _ in range(100)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert progress.done == 400


class Gone(Screen):
    """A terminal that has gone away."""

    def write(self, text: str) -> int:
        raise OSError("gone")


def test_a_terminal_that_has_gone_does_not_end_the_work(screen: Screen) -> None:
    gone = Gone()
    with Output(stdout=io.StringIO(), stderr=gone, environ={}).progress("Reading", 9) as progress:
        progress.advance()
    assert (progress.done, gone.text) == (1, "")


PROGRAM = """
import time
from algo_core import App
from algo_core.terminal import progress as module

module.PATIENCE, module.REFRESH = -1.0, 0.01
app = App()
with app.output.progress("Reading", 2) as progress:
    progress.advance()
    answer = app.ask("Go where", default="on")
    progress.advance()
print("went", answer)
"""


def test_a_question_stays_until_it_is_answered(algo_home: Home, spawn: Callable[..., pexpect.spawn]) -> None:
    algo_home.program = sys.executable  # type: ignore[assignment]  # a text is as good
    child = spawn(algo_home, "-c", PROGRAM, TERM="xterm")
    child.expect("50%  1 of 2")
    child.expect(r"Go where \[on\]: ")
    assert child.expect([r"50%", pexpect.TIMEOUT], timeout=0.1) == 1, "the thread drew over the question"
    child.sendline("home")
    child.expect("100%  2 of 2")
    child.expect("went home")
