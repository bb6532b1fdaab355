"""The documentation promises what the tests go through."""

from __future__ import annotations

from faults import page


def test_the_page_has_the_matrix() -> None:
    text = page.PAGE.read_text("utf-8")
    assert page.rendered(text) == text, "run: python tests/faults/page.py"
    for rows in page.TABLES.values():
        assert all(f"\n| {row.name} | {row.promise} |" in text for row in rows)
