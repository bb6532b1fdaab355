"""Requested results, which `--quiet` does not drop (unlike reports of actions)."""

from __future__ import annotations

import json
from typing import Any

from algo_core.context import App


def answer(app: App, *lines: tuple[str, ...], **members: Any) -> None:
    """Print a result, as lines of tab-separated fields, or as a JSON object on one line."""
    if app.output.is_json:
        app.output.json_text(json.dumps(members) + "\n")
        return
    for fields in lines:
        app.output.line(*fields)
