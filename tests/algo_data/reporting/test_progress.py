"""The progress line: on a terminal only, one line, gone when done."""

from __future__ import annotations

import io
import re
import subprocess
import threading

import pexpect
import pytest

from algo_core import App
from algo_core.errors import ExitCode
from algo_core.terminal.options import human
from algo_core.terminal.output import Output
from algo_core.terminal.progress import Fact, fitted
from algo_data.engine.run import processes
from algo_data.reporting.progress import Line, progress_for


class Terminal:
    """Collects what is written to it."""

    def __init__(self) -> None:
        self.text = ""

    def draw(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.fixture
def line():
    class Clocked:
        now = 0.0
        terminal = Terminal()
        columns = 80

        def __init__(self) -> None:
            self.terminal = Terminal()
            self.line = Line(self.terminal, lambda: self.columns, lambda: self.now)

    return Clocked()


def test_it_shows_share_bytes_rate_and_time_left(line):
    line.line.begin(0, "friends.jpg")
    line.now = 2.0
    line.line.advance(0, 20 << 20, 80 << 20)
    assert line.terminal.text == "\r\x1b[Kfriends.jpg   25%  20.0 MiB of 80.0 MiB  10.0 MiB/s  0:06 left\r"


def test_without_a_size_it_shows_bytes_and_rate(line):
    line.line.begin(0, "-")
    line.now = 1.0
    line.line.advance(0, 1536, None)
    assert line.terminal.text == "\r\x1b[K-  1.5 KiB  1.5 KiB/s\r"


def test_it_does_not_flood(line):
    line.line.begin(0, "f")
    for step in range(10_000):
        line.now = step / 1000
        line.line.advance(0, step, 10_000)
    assert 50 <= line.terminal.text.count("\x1b[K") <= 100


def test_what_is_done_at_once_shows_nothing(line):
    for number in range(3):
        line.line.begin(number, f"f{number}")
        line.line.advance(number, 10, 10)
        line.line.done(number)
        line.line.end()
    assert line.terminal.text == ""


def test_many_files_are_counted_and_the_line_is_erased(line):
    for number in range(1, 4):
        line.now += 1
        line.line.begin(number, f"f{number}")
        line.now += 1
        line.line.advance(number, 10, 10)
        line.line.done(number)
        line.line.end()
    assert "f3  2 files  30 B  5 B/s" in line.terminal.text
    assert line.terminal.text.endswith("\r\x1b[K")


def test_a_narrower_window_leaves_no_half_line(line):
    """Where it breaks the line in two, the cursor stands at the beginning of the first, and all below is erased."""
    line.line.begin(0, "friends.jpg")
    line.now = 1.0
    line.line.advance(0, 20 << 20, 80 << 20)
    assert line.terminal.text.endswith("left\r")
    line.columns, line.now = 40, 2.0
    line.line.advance(0, 40 << 20, 80 << 20)
    assert line.terminal.text.endswith("\r\x1b[Jfrien….jpg   50%  20.0 MiB/s  0:02 left\r")
    line.columns = 30
    line.line.end()
    assert line.terminal.text.endswith("left\r\r\x1b[J")


def test_it_is_drawn_anew_while_nothing_happens():
    """A connection that has stalled: the rate falls, and what is left takes longer."""
    terminal = Terminal()
    drawn = threading.Event()
    terminal.draw = lambda text: drawn.set() if "files" in text or "%" in text else None
    line = Line(terminal, lambda: 80, iter(range(1_000_000)).__next__, refresh=0.01)
    with line.lock:
        line.begin(0, "f")
        line.advance(0, 10, 100)
        drawn.clear()
    assert drawn.wait(60)
    line.close()
    drawn.clear()
    with line.lock:
        assert not drawn.is_set()


def test_a_name_cannot_send_commands_to_the_terminal(line):
    line.line.begin(0, "a\x1b[31mb\nc")
    line.now = 1
    line.line.advance(0, 1, 2)
    assert line.terminal.text.startswith("\r\x1b[Ka\\x1b[31mb\\nc ")


@pytest.mark.parametrize("columns", range(0, 100, 7))
@pytest.mark.parametrize("name", ["friends.jpg", "x" * 200, "写真" * 40, "e\u0301" * 60, "f"])
def test_it_fits_into_any_terminal(line, columns, name):
    facts = [Fact(0, " 25%"), Fact(4, "20.0 MiB of 80.0 MiB"), Fact(3, "10.0 MiB/s"), Fact(1, "0:06 left")]
    shown = fitted(name, facts, columns)
    wide = len(re.findall("[写真]", shown))
    assert len(shown.replace("\u0301", "")) + wide <= max(columns, 0)
    if columns >= 91:
        assert shown.endswith("  ".join(fact.text for fact in facts))
    if columns >= 15:
        assert "25%  " in shown
        assert "0:06 left" in shown
    kept = [fact.text.strip() in shown for fact in sorted(facts)]
    assert kept == sorted(kept, reverse=True), "nothing stays when something more important goes"


def test_a_long_name_is_cut_in_its_middle():
    assert fitted("a-very-long-name.tar.gz", [], 12) == "a-very…ar.gz"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (9 << 50, "9216.0 TiB"),
    ],
)
def test_sizes_are_short(count, text):
    assert human(count) == text


def _slow(handler) -> bool:
    """Takes its time, so that there is progress to see."""
    content = handler.platform.files[handler.where]
    handler._send_head(200, len(content), handler._facts(content, 0))
    for start in range(0, len(content), len(content) // 8):
        handler.wfile.write(content[start : start + len(content) // 8])
        handler.platform.flag.wait(0.2)
    return True


@pytest.mark.parametrize("columns", [80, 30])
def test_on_a_terminal_it_is_seen_and_then_gone(home, data_platform, work, columns):
    data_platform.files["data/.my/c/picture.jpg"] = bytes(8 << 20)
    data_platform.fail("GET", "picture.jpg", _slow)
    first, *rest = home.command("cp", "data://.my/c/picture.jpg", work)
    child = pexpect.spawn(
        first, rest, env={**home.environ, "TERM": "xterm"}, encoding="utf-8", timeout=60, dimensions=(24, columns)
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == ExitCode.OK
    drawn = child.before.split("\r\x1b[K")
    shown = [part.rstrip("\r") for part in drawn if "%" in part]
    assert shown, child.before
    assert all(len(part) < columns for part in shown)
    assert all(part.startswith("picture.jpg") or columns < 80 for part in shown)
    assert columns == 80 or any("left" in part for part in shown), "how long it takes is more important than the name"
    # What remains on the screen is the result and nothing else.
    assert drawn[-1].strip() == f"Downloaded {work}/picture.jpg"


@pytest.mark.parametrize("flags", [[], ["--verbose"]])
def test_many_files_do_not_flood_a_terminal(home, data_platform, work, flags):
    names = [f"f{number:03}" for number in range(300)]
    data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in names}
    for digit in range(10):
        data_platform.fail("GET", str(digit), lambda handler: handler.platform.flag.wait(0.01), times=300)
    data_platform.fail("GET", "f299", 403, times=9)
    data_platform.faults.insert(0, data_platform.faults.pop())
    words = home.command(*flags, "cp", "--max-transfers", "2", "data://.my/c/*", work)
    environ = {**home.environ, "TERM": "xterm"}
    child = pexpect.spawn(words[0], words[1:], env=environ, encoding="utf-8", timeout=60, dimensions=(24, 80))
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == ExitCode.AUTHENTICATION
    assert len(list(work.iterdir())) == 299
    assert child.before.count("Downloaded") == (299 if flags else 20)
    assert child.before.count("error: ") == 1
    drawn = re.findall(r"(\d+) of 300 files +\d+%", child.before)
    assert len(drawn) >= 5
    assert [int(count) for count in drawn] == sorted(map(int, drawn))
    *_, summary = child.before.strip().splitlines()
    assert summary.startswith("299 files, ")
    assert summary.endswith("; 1 failed")


@pytest.mark.parametrize(("flags", "told"), [([], 20), (["--dry-run"], 50), (["-v"], 50)])
def test_many_deletions_do_not_flood_a_terminal(home, work, flags, told):
    (work / "src").mkdir()
    (work / "dst").mkdir()
    for number in range(50):
        (work / "dst" / f"f{number}").touch()
    words = home.command("sync", "--delete", *flags, work / "src", work / "dst")
    child = pexpect.spawn(words[0], words[1:], env={**home.environ, "TERM": "xterm"}, encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    assert len(re.findall("Deleted|Would delete", child.before)) == told
    assert "50 deleted" in child.before


def test_results_that_go_elsewhere_leave_the_line_alone(home, data_platform, work):
    """A script collects them, a person watches."""
    data_platform.files |= {f"data/.my/c/f{number:02}": b"x" for number in range(100)}
    for digit in range(10):
        data_platform.fail("GET", str(digit), lambda handler: handler.platform.flag.wait(0.01), times=100)
    command = " ".join(map(str, home.command("cp", "--max-transfers", "1", "'data://.my/c/*'", work)))
    child = pexpect.spawn(
        "sh",
        ["-c", f"{command} > results"],
        env={**home.environ, "TERM": "xterm"},
        cwd=str(work.parent),
        encoding="utf-8",
    )
    child.expect(pexpect.EOF)
    assert len((work.parent / "results").read_text().splitlines()) == 100
    drawn = child.before.split("\r\x1b[K")
    assert not [part for part in drawn[1:-1] if not part], "it is drawn over, not erased, until the end"
    assert sum("files" in part for part in drawn) >= 5


@pytest.mark.parametrize("reason", ["pipe", "quiet", "json", "dumb"])
def test_nowhere_else(home, data_platform, work, reason):
    data_platform.files["data/.my/c/f"] = bytes(8 << 20)
    data_platform.fail("GET", "/f", _slow)
    flags = {"quiet": ["-q"], "json": ["--json"]}.get(reason, [])
    environ = {**home.environ, "TERM": "dumb" if reason == "dumb" else "xterm"}
    words = home.command(*flags, "cp", "data://.my/c/f", work)
    if reason == "pipe":
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return
    child = pexpect.spawn(words[0], words[1:], env=environ, encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    assert "\x1b[K" not in child.before
    assert "%" not in child.before


def test_files_that_went_elsewhere_are_counted_and_shown(line):
    for _ in range(600):
        line.line.planned(10)
    line.line.all_planned()
    line.now = 1.0
    line.line.passed(300, 3000)
    assert "300 of 600 files" in line.terminal.text
    assert "50%" in line.terminal.text
    line.line.end()
    assert line.terminal.text.endswith("\r\x1b[K")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_that_is_shown_does_not_keep_a_copy_from_helper_processes(monkeypatch):
    """A copy within a plugin's piece of work: its thread can be held up while a process is forked."""
    output = Output(stdout=io.StringIO(), stderr=Screen(), environ={})
    with output.progress("Outer", 2):
        (own,) = [thread for thread in threading.enumerate() if thread.name == "algo-progress"]
        monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread(), own])
        taken: list[bool] = []
        with processes._still() as is_still:
            other = threading.Thread(target=lambda: taken.append(own.fork_lock.acquire(blocking=False)))
            other.start()
            other.join()
        assert (is_still, taken) == (True, [False])


def test_the_line_makes_room_for_whoever_writes_and_for_one_that_is_shown(monkeypatch):
    """A remark of an observer, from a thread of its own; a copy within a plugin's piece of work."""
    monkeypatch.setattr("algo_core.terminal.progress.PATIENCE", -1.0)
    screen, app = Screen(), App({})
    app.output = Output(stdout=io.StringIO(), stderr=screen, environ={"NO_COLOR": "1"})
    with progress_for(app, stdout_has_content=False) as progress:
        progress.begin(0, "friends.jpg")
        progress.advance(0, 20 << 20, 80 << 20)
        assert screen.getvalue().endswith("left\r")
        app.output.info("told")
        assert screen.getvalue().endswith("left\r\r\x1b[Ktold\n")
        with app.output.progress("Another", 2) as inner:
            inner.advance()
    with app.output.progress("Outer", 2) as outer:
        outer.advance()
        with progress_for(app, stdout_has_content=False) as within:
            within.begin(0, "within.jpg")
            within.advance(0, 1, 2)
    assert ("Another" in screen.getvalue(), "within" in screen.getvalue(), "Outer" in screen.getvalue()) == (
        False, False, True
    )  # fmt: skip
    assert screen.getvalue().endswith("\r\x1b[K")
