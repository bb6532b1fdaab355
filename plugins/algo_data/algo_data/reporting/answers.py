"""What a command was asked for, as opposed to what it has done: `--quiet` does not drop it."""

from __future__ import annotations

import json
from typing import Any

from algo_core.context import App


def answer(app: App, *lines: tuple[str, ...], **members: Any) -> None:
    """One answer, as lines of fields that tabs keep apart, or a JSON object on a line."""
    if app.output.is_json:
        app.output.json_text(json.dumps(members) + "\n")
        return
    for fields in lines:
        app.output.line(*fields)
