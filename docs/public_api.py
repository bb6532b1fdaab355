"""What plugins may import: the page `api.md`, and the record that a test compares the code with."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "api.md"
RECORD = HERE.parent / "tests" / "documentation" / "public_surface.txt"

PUBLIC = (
    "algo_core",
    "algo_core.context",
    "algo_core.errors",
    "algo_core.outcomes",
    "algo_core.plugins.types",
    "algo_core.events",
    "algo_core.settings.profile",
    "algo_core.settings.credentials",
    "algo_core.settings.paths",
    "algo_core.http.api",
    "algo_core.http.client",
    "algo_core.http.transport",
    "algo_core.http.response",
    "algo_core.http.headers",
    "algo_core.http.retry",
    "algo_core.http.multiplexer",
    "algo_core.http.pipeline",
    "algo_core.http.requests_transport",
    "algo_core.storage.contract",
    "algo_core.storage.capabilities",
    "algo_core.storage.uri",
    "algo_core.storage.registry",
    "algo_core.terminal.output",
    "algo_core.terminal.prompts",
    "algo_core.terminal.progress",
    "algo_core.terminal.options",
    "algo_core.terminal.sanitize",
    "algo_core.terminal.stray",
    "algo_core.files",
    "algo_core.locks",
    "algo_core.names",
    "algo_core.scratch",
    "algo_core.suggestions",
    "algo_core.text",
    "algo_core.testing",
    "algo_core.testing.clock",
    "algo_core.testing.fake",
    "algo_core.testing.faults",
    "algo_core.testing.home",
    "algo_core.testing.keys",
    "algo_core.testing.platform",
    "algo_core.testing.storage",
)
"""Modules whose names without an underscore keep their meaning; all others are private."""

HEAD = """<!-- Written by docs/public_api.py from the docstrings in algo_core: change those. -->

# The public API

A plugin may import what this page lists, and the hooks of [hooks.md](hooks.md). Every other module of `algo_core` is
private, and so is a name that begins with an underscore.

## What stays, and for how long

- The version of `algo-core` counts for this page. A patch version (1.1.3) changes no name and no signature. A minor
  version (1.2) adds names, and arguments with defaults. Only a major version (2.0) removes or changes one
  at once.
- A name is deprecated before it is removed: it keeps working for at least one minor version, raises a
  `DeprecationWarning` that names its successor, and stands in the changelog under "removed" when it has gone.
- `ALGO_API` in a plugin's module names the hook API that it needs (`ALGO_API = ">=1,<2"`). It covers the hooks, this
  page, and the storage contract, whose tests have a version of their own (`StorageContract.contract`).
- A test compares the code with the recorded names and signatures, so that none changes unnoticed.

Arguments and results are annotated; paths are texts or `pathlib.Path`, times are in seconds, sizes in bytes, and what
is raised is an `AlgoError` or one of its kinds unless the text says otherwise.
"""


def page() -> str:
    """The page."""
    contents = "\n".join(f"- [`{name}`](#{_anchor(name)}): {_summary(_module(name))}" for name in PUBLIC)
    return "\n\n".join([HEAD.rstrip(), contents, *map(_section, PUBLIC)]) + "\n"


def surface() -> str:
    """All public names with their signatures, one on a line."""
    return "".join(f"{line}\n" for name in PUBLIC for line in sorted(_lines(name)))


def members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public names of a module, in the order of its `__all__` or of the file."""
    listed = getattr(module, "__all__", None)
    for name in listed or vars(module):
        value = getattr(module, name)
        is_own = inspect.isclass(value) or inspect.isfunction(value)
        if listed or (not name.startswith("_") and is_own and value.__module__ == module.__name__):
            yield name, value


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _lines(name: str) -> Iterator[str]:
    for member, value in members(_module(name)):
        yield f"{name}.{member}{_signature(value)}"
        if inspect.isclass(value) and value.__module__ == name:
            yield from (f"{name}.{member}.{part}{_signature(found)}" for part, found in _parts(value))


def _section(name: str) -> str:
    module = _module(name)
    parts = [f"## {name}", _text(module)]
    for member, value in members(module):
        if getattr(value, "__module__", name) != name:
            parts.append(f"- `{member}`: see `{value.__module__}`")
        elif inspect.isclass(value) or inspect.isfunction(value):
            parts.append(_described(member, value))
    return "\n\n".join(part for part in parts if part)


def _described(name: str, value: Any) -> str:
    kind = "class " if inspect.isclass(value) else ""
    parts = [f"### {name}", f"```python\n{kind}{name}{_signature(value)}\n```", _text(value)]
    if inspect.isclass(value):
        rows = [f"| `{_escaped(part + _signature(found))}` | {_cell(found)} |" for part, found in _parts(value)]
        parts.append("\n".join(["| member | what it is |", "| --- | --- |", *rows]) if rows else "")
    return "\n\n".join(part for part in parts if part)


def _parts(kind: type) -> Iterator[tuple[str, Any]]:
    """The public members that a class defines itself."""
    for name, value in vars(kind).items():
        plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        is_field = name in getattr(kind, "_fields", ())
        if not name.startswith("_") and not is_field and (inspect.isfunction(plain) or _is_property(plain)):
            yield name, plain


def _is_property(value: object) -> bool:
    return isinstance(value, property) or type(value).__name__ == "cached_property"


def _signature(value: Any) -> str:
    """The arguments of what can be called, without values that depend on where this runs."""
    if _is_property(value) or not callable(value) or not value.__module__.startswith("algo_"):
        return ""
    if inspect.isclass(value) and not hasattr(value, "_fields") and "__init__" not in vars(value):
        return f"({value.__mro__[1].__name__})"
    found = inspect.signature(value)
    kept = [
        part.replace(
            default=part.default if _is_plain(part.default) else _Text("..."), annotation=_annotation(part.annotation)
        )
        for number, part in enumerate(found.parameters.values())
        if number or part.name not in {"self", "cls"}
    ]
    return str(found.replace(parameters=kept, return_annotation=_annotation(found.return_annotation)))


class _Text:
    """Shown as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _annotation(written: Any) -> Any:
    """An annotation as the source has it."""
    text = getattr(written, "__forward_arg__", written)
    return _Text(text) if isinstance(text, str) else written


def _is_plain(default: object) -> bool:
    plain = (type(None), bool, int, float, str, bytes)
    return default is inspect.Parameter.empty or isinstance(default, plain) or default == ()


def _text(value: object) -> str:
    """A docstring whose indented blocks are code."""
    shown = []
    for prose, code in _paragraphs(value):
        raised = re.sub(r"\nRaises:\n +", "\nRaises: ", f"\n{prose}").lstrip("\n")
        shown.append(raised)
        if code:
            shown.append(f"```{_language(code)}\n{code}\n```")
    return "\n\n".join(shown)


def _paragraphs(value: object) -> Iterator[tuple[str, str]]:
    """The paragraphs of a docstring, each with the code below it, if there is some."""
    for paragraph in re.split(r"\n\n(?=\S)", inspect.getdoc(value) or ""):
        prose, _, code = paragraph.partition("\n\n    ")
        yield prose, re.sub(r"^    ", "", code, flags=re.MULTILINE).rstrip()


def _language(code: str) -> str:
    return "toml" if code.startswith("[") else "python"


def examples() -> Iterator[tuple[str, str, str]]:
    """All examples of the page: whose they are, their language, and their code."""
    for name in PUBLIC:
        module = _module(name)
        found: dict[str, object] = {name: module}
        for member, value in members(module):
            if getattr(value, "__module__", None) == name and (inspect.isclass(value) or inspect.isfunction(value)):
                found[f"{name}.{member}"] = value
                parts = _parts(value) if inspect.isclass(value) else ()
                found |= {f"{name}.{member}.{part}": owned for part, owned in parts}
        for where, value in found.items():
            yield from ((where, _language(code), code) for _, code in _paragraphs(value) if code)


def _summary(value: object) -> str:
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


def _cell(value: Any) -> str:
    text = inspect.getdoc(value.fget if isinstance(value, property) else getattr(value, "func", value)) or ""
    text = re.sub(r"\n\n((?:    .*\n?|\n(?=    ))+)", lambda found: f" `{'; '.join(_lines_of(found[1]))}` ", text)
    return _escaped(" ".join(text.split())) or "(as in the class that it is derived from)"


def _lines_of(code: str) -> list[str]:
    return [line.strip() for line in code.splitlines() if line.strip()]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(name: str) -> str:
    return name.replace(".", "")


def write() -> None:
    """Write the page and the record."""
    PAGE.write_text(page(), "utf-8")
    RECORD.write_text(surface(), "utf-8")
