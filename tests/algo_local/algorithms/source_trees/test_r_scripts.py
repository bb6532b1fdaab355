"""Which algorithms in R are built, by which file, and why others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.programs import needs

from algo_local.algorithms.build import BuildError
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.languages import rscript
from algo_local.algorithms.source_trees.sources import check_runnable

CODE = "algorithm <- function(input) input\n"


def made_in(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8", "surrogateescape")
    return root


@pytest.mark.parametrize(
    ("configuration", "files", "module"),
    [
        ('{"language": "r36"}', {"src/Algorithm.r": CODE}, "src/Algorithm.r"),
        ('{"language": "r", "algoname": "other"}', {"src/other.R": CODE, "src/Algorithm.R": CODE}, "src/other.R"),
        ('{"language": "R"}', {"src/Hello.R": f"\ufeff{CODE}"}, "src/Hello.R"),
        ('{"language": "R"}', {"src/Hello.R": "source('src/work.R')", "src/work.R": CODE}, "src/Hello.R"),
        ('{"entry_point": "R/main.R"}', {"R/main.R": CODE, "src/help.r": ""}, "R/main.R"),
        ("{}", {"src/Hello.r": CODE, "packages.txt": "# none\nstats\ntestthat\n-g a/b@c\n"}, "src/Hello.r"),
    ],
)
def test_the_file_with_the_entry_point(tmp_path: Path, configuration: str, files: dict[str, str], module: str) -> None:
    needs("Rscript")
    source = made_in(tmp_path / "source", **{"algorithmia.conf": configuration}, **files)
    build = Builder(tmp_path / "root").build(source, "demo", "Hello")
    assert (build.module, build.language, build.python.name) == (module, "r", "Rscript")
    assert ("'-g a/b@c' is not carried out" in build.log) == ("packages.txt" in files)


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({"src/other.R": CODE}, "There is no src/Hello.R (src holds other.R)", 'name it in algorithmia.conf as "entry'),
        ({"src/Hello.R": "x <- 1"}, "src/Hello.R has no entry point", "algorithm <- function(input)"),
        ({"src/Hello.R": CODE + "f <- function( {"}, "src/Hello.R, line 2: unexpected '{'", "Correct it: f <- f"),
        ({"src/Hello.R": CODE, "src/b.r": "x <-\n"}, "src/b.r, line 1: unexpected end of input", "Correct it: x <-"),
        ({"src/Hello.R": CODE + "x <- '\udce4'\n"}, "src/Hello.R, line 2: it is not UTF-8", "Correct it: x <- '<e4>'"),
        ({"src/Hello.R": CODE, "packages.txt": "stats\nno.such\n"}, "packages.txt requires no.such", "r-cran-no.such"),
    ],
)
def test_what_is_refused(tmp_path: Path, files: dict[str, str], message: str, hint: str) -> None:
    needs("Rscript")
    source = made_in(tmp_path / "source", **{"algorithmia.conf": '{"language": "r"}'}, **files)
    with pytest.raises(BuildError) as caught:
        Builder(tmp_path / "root").build(source, "demo", "Hello")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("3.5.1 TRUE $0", "Algorithms in R need R 3.6 or later, and this platform has 3.5.1"),
        ("4.2.2 FALSE $0", "Algorithms in R need the package jsonlite, which R 4.2.2 does not have here"),
        ("v18.0.0", "Algorithms in R need R, which this platform does not have"),
    ],
)
def test_an_r_that_cannot_run_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, message: str) -> None:
    program = tmp_path / "bin/Rscript"
    made_in(tmp_path, **{"bin/Rscript": f'#!/bin/sh\nprintf %s "{said}"\n'})
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("ALGO_LOCAL_R", raising=False)
    assert rscript.find_r() is None
    with pytest.raises(BuildError) as caught:
        check_runnable(made_in(tmp_path / "source", **{"src/Hello.R": CODE}))
    assert (caught.value.message, caught.value.hint) == (message, rscript.INSTALL)
