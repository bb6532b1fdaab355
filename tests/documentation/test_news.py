"""News fragments are of a known kind, and make a section of the changelog."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_fragment_stands_in_the_next_section_of_the_changelog() -> None:
    fragments = [file for file in (ROOT / "news").iterdir() if not file.name.startswith(".")]
    assert all(re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", file.name) for file in fragments)
    page = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for file in fragments:
        first_words = file.read_text("utf-8").split()[:4]
        assert " ".join(first_words) in " ".join(page.split()), file.name


def test_the_changelog_has_the_place_where_the_next_section_goes() -> None:
    assert (ROOT / "CHANGELOG.md").read_text("utf-8").count("<!-- towncrier release notes start -->") == 1
