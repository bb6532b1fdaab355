"""Reduces stack traces to the frames of the algorithm's author, with the author's file names."""

from __future__ import annotations

import re
from pathlib import Path

from algo_local.execution.workers.sandbox import TREE

_FRAME = re.compile(r'^\s*File "([^"]*)", line \d+, in |^\s+at (?:.* \()?(?:file://)?([^()]*?)(?::\d+:\d+)?\)?$')
"""A frame of Python, or of JavaScript and R."""
_HEADING = "Traceback (most recent call last):"


def own_files(text: str, processes: Path, directory: str) -> str:
    """A text in which paths of a process's copy are replaced by those in the author's directory."""
    copy = rf"(?:{re.escape(TREE)}|{re.escape(str(processes))}/p-[^/\"]+/\d+/algorithm)/"
    return re.sub(copy, lambda match: f"{directory.rstrip('/')}/", text)


def own_frames(trace: str, directory: str) -> str:
    """A trace with only the author's frames and the paths of `own_files`; empty if no frame is the author's."""
    kept: list[str] = []
    is_kept, found = True, False
    prefix = f"{directory.rstrip('/')}/"
    for line in trace.splitlines():
        if match := _FRAME.match(line):
            is_kept = (match[1] or match[2] or "").startswith(prefix)
            found = found or is_kept
        elif not line.startswith("    "):
            is_kept = True
        if is_kept:
            kept.append(line)
    lines = [line for line, after in zip(kept, [*kept[1:], ""], strict=True) if not _is_empty(line, after)]
    return "\n".join(lines) + "\n" if found else ""


def _is_empty(line: str, after: str) -> bool:
    """Whether a line begins a list of frames of which none is left."""
    return line.strip() == _HEADING and not _FRAME.match(after)
