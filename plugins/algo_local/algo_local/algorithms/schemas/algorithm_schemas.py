"""The schemas of an algorithm's input and output: from its files, or from the type hints of `apply`."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.text import decoded
from algo_local.algorithms.build import Build, BuildError

if TYPE_CHECKING:
    from algo_local.algorithms.schemas.json_schema import Schema

FILES = {"input": "input.schema.json", "output": "output.schema.json"}
"""The names of the files, in the root of the source tree."""

_LARGEST = 1 << 20
_HINTED = re.compile(r"^def apply\((?:[^)]*:|[^)]*\)\s*->)", re.MULTILINE)


class Schemas(NamedTuple):
    """JSON schemas of input and output; None accepts anything."""

    input: Schema | None = None
    output: Schema | None = None

    def described(self) -> dict[str, Any]:
        """The existing schemas by name."""
        return {name: schema for name, schema in self._asdict().items() if schema is not None}


def schemas_of(build: Build) -> Schemas:
    """The schemas of a build, whose files never change; none if they cannot be read."""
    try:
        return _schemas_of(str(build.source), build.module)
    except (BuildError, OSError):
        return Schemas()


@lru_cache(maxsize=256)
def _schemas_of(source: str, module: str) -> Schemas:
    tree = Path(source)
    found = read_schemas(tree, module)
    if found == Schemas() and not tree.is_dir():
        raise FileNotFoundError(source)  # it may still come, so that this is not remembered
    return found


def read_schemas(tree: Path, module: str) -> Schemas:
    """The schemas of a source tree: those in its files come before type hints.

    Raises:
        BuildError: if a file holds no schema, or one that this platform cannot check.
    """
    found = {name: _read(tree / file) for name, file in FILES.items()}
    if None in found.values():
        hinted = _hinted(tree, module)
        found = {name: schema if schema is not None else getattr(hinted, name) for name, schema in found.items()}
    return Schemas(**found)


def _read(path: Path) -> Schema | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BuildError(f"Cannot read {path.name}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise BuildError(f"{path.name} is larger than {_LARGEST >> 20} MiB")
    try:
        schema = json.loads(decoded(content))
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{path.name} is not JSON: {error}", "Correct the schema") from error
    from algo_local.algorithms.schemas.json_schema import check_schema

    check_schema(schema, path.name)
    return schema


def _hinted(tree: Path, module: str) -> Schemas:
    place = tree.joinpath(*module.split("."))
    for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            if not _HINTED.search(text):  # which spares most algorithms the parser
                return Schemas()
            from algo_local.algorithms.schemas.type_hints import hinted

            return Schemas(*hinted(text))
    return Schemas()
