"""The progress of many calls on a terminal: drawn, erased for other lines, and never shown as escaped text."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from support.environments import ROOT

from algo_core.terminal import progress
from algo_core.terminal.output import Output
from algo_run.batch.report import LINE_SECONDS, Report

ROW = {"index": 0, "result": 1}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report_on(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> tuple[Output, Report]:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(progress, "INTERVAL", 0)
    output = Output(environ={"TERM": "xterm"}, stdout=stream, stderr=stream)
    return output, Report(output, titles={"latency": "latency"}, verb="called", total=3)


def test_the_line_is_drawn_and_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    output, report = report_on(stream, monkeypatch)
    report.ended(ROW, {"latency": 0.1})
    assert stream.getvalue().startswith("\r\x1b[K1 done of 3")
    drawn = len(stream.getvalue())
    output.info("something else")
    assert stream.getvalue()[drawn:] == "\r\x1b[Ksomething else\n"
    report.ended(ROW, {"latency": 0.1})
    assert "2 done of 3" in stream.getvalue()
    output.binary.write(b'{"index": 1}\n')  # a result, on the same terminal
    output.binary.flush()
    assert stream.getvalue().endswith('\r\x1b[K{"index": 1}\n')
    report.ended(ROW, {"latency": 0.1})
    report.summary()
    end = stream.getvalue().rpartition("\r\x1b[K")[2]
    assert end.startswith("3 inputs called, 0 failed")
    assert "\\x1b" not in stream.getvalue()
    output.info("afterwards")
    assert stream.getvalue().endswith("\nafterwards\n")


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    _, report = report_on(stream, monkeypatch)
    report.ended(ROW, {"latency": 0.1})
    assert stream.getvalue() == ""
    report._shown -= LINE_SECONDS + 1
    report.ended(ROW, {"latency": 0.1})
    assert stream.getvalue().startswith("2 done of 3, ")
    assert stream.getvalue().count("\n") == 1


def test_control_sequences_are_drawn_and_not_written() -> None:
    """`write` and the other methods of an output escape them; `draw` and `styled` do not."""
    wrong = []
    for path in [*Path(ROOT, "algo_core").rglob("*.py"), *Path(ROOT, "plugins").rglob("*.py")]:
        if "\\x1b" not in (text := path.read_text(encoding="utf-8")):
            continue
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ESCAPING:
                parts = [part.value for each in call.args for part in ast.walk(each) if isinstance(part, ast.Constant)]
                if any(isinstance(part, str) and "\x1b" in part for part in parts):
                    wrong.append(f"{path.name}:{call.lineno}")
    assert wrong == []


ESCAPING = {"write", "info", "log", "warn", "print", "line", "error"}
