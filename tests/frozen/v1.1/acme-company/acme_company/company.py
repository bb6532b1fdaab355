"""The company's login."""

from __future__ import annotations

from pathlib import Path

from algo_core.settings.credentials import Credential, classify


def token(path: str) -> Credential | None:
    """What the login left in a file, or None: replace the file by your vault or single sign-on."""
    file = Path(path).expanduser()
    try:
        text = file.read_text("utf-8").strip()
    except OSError:
        return None
    return classify(text, origin=str(file)) if text else None
