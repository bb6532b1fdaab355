"""The modules of an algorithm in JavaScript: the one with its entry point, and whether all can be parsed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import NAME, read_configuration
from algo_local.algorithms.installation.npm import MODULES, PACKAGE, read_package
from algo_local.algorithms.languages.node import required_node
from algo_local.algorithms.source_trees.modules import first_module, missing_entry_point

ENDINGS = (".js", ".mjs", ".cjs")
"""How the names of modules end."""

_PARSER = Path(__file__).with_name("parse_scripts.js")
_PARSE_SECONDS = 120
_ENTRY = re.compile(rb"\bapply\b|\bmodule\.exports\b|\bexport\s+(?:default|\*|\{)")
"""What a module has that exports a function `apply`, or what it has from another."""


def find_script(directory: Path, name: str) -> str:
    """The path, within a published tree, of the module with the algorithm's entry point.

    It is the one that `algorithmia.conf` names, else `src/NAME.js`, else `src/ALGONAME.js`, else the `main` of
    package.json, else `src/algorithm.js` or `src/index.js`.

    Raises:
        BuildError: if there is none, or it, or another module in `src`, cannot be parsed.
    """
    entry = _entry(directory, name)
    found = {*_modules(directory / "src"), directory / entry}
    _parse(directory, sorted(found))
    if not _ENTRY.search((directory / entry).read_bytes()):
        raise BuildError(
            f"{entry} has no entry point: it exports no function apply",
            "Write in it: exports.apply = function (input) { ... }",
        )
    return entry


def _entry(directory: Path, name: str) -> str:
    configuration = read_configuration(directory)
    said = configuration.module
    if said:
        # A name without a directory is that of a file in src, as it is for Python, or beside package.json.
        candidates = [said, f"src/{said}"] if "/" in said else [f"src/{said.replace('.', '/')}"]
    else:
        names = dict.fromkeys([name, *([configuration.algoname] if configuration.algoname else [])])
        main = read_package(directory).members.get("main")
        candidates = [*(f"src/{one}" for one in names), *([main] if isinstance(main, str) else [])]
        candidates += ["src/algorithm", "src/Algorithm", "src/index"]
    if found := first_module(directory, candidates, ENDINGS):
        return found
    if said:
        raise missing_entry_point(said, candidates[0], ".js")
    held = sorted(path.name for path in (directory / "src").glob("*") if path.suffix in ENDINGS)
    raise BuildError(
        f"There is no src/{name}.js (src holds {', '.join(held) or 'no module'})",
        f'Rename the module to {name}.js, name it in {NAME} as "entry_point", or in {PACKAGE} as "main"',
    )


def _modules(source: Path) -> Iterator[Path]:
    for path in source.rglob("*"):
        if path.suffix in ENDINGS and path.is_file() and MODULES not in path.parts:
            yield path


def _parse(directory: Path, paths: list[Path]) -> None:
    """Have Node.js parse modules, without running them. BuildError if one has no syntax that it knows."""
    node = required_node()
    names = [path.relative_to(directory).as_posix() for path in paths]
    command = [node.program, "--no-warnings", "--experimental-vm-modules", str(_PARSER)]
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            input=json.dumps(names),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_PARSE_SECONDS,
            check=True,
        )
        problems = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"Node.js {node.text} cannot read the modules: {error.stderr.strip()[-300:]}") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"Node.js {node.text} took too long to read the modules") from error
    for problem in problems[:1]:
        line = str(problem["source"]).strip()
        hint = f"Correct it: {line}" if line else "Correct it"
        raise BuildError(
            f"{problem['file']}, line {problem['line']}: {problem['message']}", problem["hint"] or hint, line
        )
