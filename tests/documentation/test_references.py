"""What prose and docstrings name exists: modules, attributes, files."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.programs import needs

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "algo_core",
    "algo_run",
    "algo_data",
    "algo_env",
    "algo_manage",
    "algo_local",
    "algo_connectors",
    "algo_plugins",
    "algo_manage",
)
DOTTED = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?:\(.*?\))?`")
PATH = re.compile(r"`((?:algo_core|plugins|examples|tests|docs|benchmarks|news)/[\w./-]+\.\w+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[\w-]*)?\)")
EXTERNAL = re.compile(r"[A-Z]{2,}")  # placeholders such as plugins/NAME


def sources() -> Iterator[Path]:
    needs("git")
    listed = subprocess.run(["git", "ls-files", "*.py", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        if (
            not line.startswith(("news/", "CHANGELOG", "tests/frozen/"))
            and "/templates/" not in line
            and (ROOT / line).is_file()
        ):
            yield ROOT / line


def test_every_dotted_name_in_backticks_exists() -> None:
    missing = []
    for file in sources():
        for name in set(DOTTED.findall(file.read_text("utf-8"))):
            if not exists(name):
                missing.append(f"{file.relative_to(ROOT)}: {name}")
    assert not missing, "\n".join(sorted(missing))


def exists(name: str) -> bool:
    words = name.split(".")
    for end in range(len(words), 0, -1):
        try:
            found = importlib.import_module(".".join(words[:end]))
        except ImportError:
            continue
        for word in words[end:]:
            if not hasattr(found, word) and word not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, word, None)
        return True
    return False


def test_every_path_in_backticks_exists() -> None:
    missing = [
        f"{file.relative_to(ROOT)}: {path}"
        for file in sources()
        for path in set(PATH.findall(file.read_text("utf-8")))
        if not EXTERNAL.search(path) and not (ROOT / path).exists()
    ]
    assert not missing, "\n".join(sorted(missing))


def test_every_link_between_pages_leads_somewhere() -> None:
    missing = [
        f"{file.relative_to(ROOT)}: {link}"
        for file in sources()
        if file.suffix == ".md"
        for link in set(LINK.findall(file.read_text("utf-8")))
        if not (file.parent / link).exists()
    ]
    assert not missing, "\n".join(sorted(missing))


@pytest.mark.parametrize("name", ["algo_core.http.nothing", "algo_core.errors.AlgoError.nothing", "algo_nothing.x"])
def test_a_name_that_does_not_exist_is_found_out(name: str) -> None:
    assert not exists(name)
