"""What a command was asked for, as opposed to what it has done: `--quiet` does not drop it."""

from __future__ import annotations

import json
from typing import Any

from algo_core.context import App
from algo_data.reporting.report import line


def answer(app: App, text: str, **members: Any) -> None:
    """One answer, as lines of text or a JSON object on a line."""
    if app.output.is_json:
        line(app, json.dumps(members))
        return
    for part in text.split("\n"):
        line(app, part)
