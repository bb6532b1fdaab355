"""Writes the tables of `docs/transfers.md` from the matrix that the tests go through: `python tests/faults/page.py`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.matrix import DOWNLOADS, UPLOADS, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transfers.md"
TABLES = {"downloads": DOWNLOADS, "uploads": UPLOADS}


def rendered(text: str) -> str:
    """The page with its tables written anew, each between `<!-- NAME -->` and `<!-- end -->`."""
    for name, rows in TABLES.items():
        table = "\n".join(_table(rows))
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}{table}\n{found[2]}",
            text,
            flags=re.S,
        )
    return text


def _table(rows: tuple[Row, ...]) -> Iterator[str]:
    yield "| what goes wrong | what happens | exit code | requests | bytes |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for row in rows:
        tries = "" if row.tries is None else str(row.tries)
        share = "" if row.share is None else f"{row.share:.1f}"
        yield f"| {row.name} | {row.promise} | {row.code} | {tries} | {share} |"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
