"""Algorithm directories as source trees: their files, module, copy and content hash."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from algo_local.algorithms.build import BuildError, Language
from algo_local.algorithms.configuration import NAME, Configuration, meant, read_configuration
from algo_local.algorithms.installation.npm import PACKAGE
from algo_local.algorithms.languages.interpreters import OLDEST
from algo_local.algorithms.languages.node import find_node, required_node
from algo_local.algorithms.languages.rscript import find_r, required_r
from algo_local.algorithms.source_trees.r_scripts import PACKAGES, find_r_script, looks_like_r

MAX_FILES = 20_000
MAX_BYTES = 2 << 30

_IGNORED = frozenset(
    {".git", ".hg", ".svn", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store", "__pycache__"}
)
_COPY_BLOCK = 1 << 20
_LARGEST_WITH_PLACEHOLDERS = 1 << 20  # bytes; what is larger is data, not a template

_READMES = frozenset({"readme.md", "readme.rst", "readme.txt", "readme"})
_LARGEST_README = 1 << 20  # bytes

_MADE_BY_NPM = "node_modules"
"""The directory that is ignored beside the package.json that it is made from: that of the tree."""

_FOREIGN_FILES = {
    "pom.xml": "Java",
    "build.sbt": "Scala",
    "environment.yml": "Conda",
    "Cargo.toml": "Rust",
}
_FOREIGN_LANGUAGES = {
    r"(ana)?conda": "Conda",
    r"csharp": "C#",
    r"java(?!script)": "Java",
    r"python-?2": "Python 2",
    r"ruby": "Ruby",
    r"rust": "Rust",
    r"scala": "Scala",
}
"""How identifiers of languages begin (API sections 5.2 and 5.3); the first that matches counts."""

_JAVASCRIPT = re.compile(r"javascript|js$|node")
_R = re.compile(r"r(\d|$)")
_LANGUAGES = ("anaconda3", "csharp-dotnet-core2", "java11", "javascript", "python2", "python3", "r", "scala-2")
"""What a misspelt language may have been meant to be."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file or symbolic link of a tree."""

    path: Path
    """Where it is."""
    name: str
    """Where it belongs in the tree, with `/` between the parts and placeholders replaced."""
    link: str | None = None
    """Where a symbolic link leads, relative to its own directory; None for a file."""


def copy_tree(directory: Path, target: Path, owner: str, name: str) -> str:
    """Copy the algorithm's files into the existing empty directory `target`; return the content hash.

    Placeholders `__USER__` and `__ALGO__` in names and in text are replaced (API section 5.3), and the hash is of the
    result: SHA-1 over names, kinds and contents in the order of names, so equal trees have equal hashes on any machine.
    Raises BuildError for what cannot be copied or should not be.
    """
    replacements = ((b"__USER__", owner.encode()), (b"__ALGO__", name.encode()))
    root = directory.resolve()
    entries = sorted(_entries(root, owner, name), key=lambda entry: entry.name)
    tree = hashlib.sha1(usedforsecurity=False)
    for before, entry in pairwise(entries):
        if before.name == entry.name:
            raise BuildError(f"{before.path} and {entry.path} would both be published as {entry.name}")
    for entry in entries:
        destination = target / entry.name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if entry.link is not None:
            os.symlink(entry.link, destination)
            hash_record(tree, "link", entry.name, entry.link.encode("utf-8", "surrogateescape"))
            continue
        try:
            digest, executable = _copy_file(entry.path, destination, replacements)
        except OSError as error:
            raise BuildError(f"Cannot copy {entry.path}: {error.strerror}") from error
        hash_record(tree, "program" if executable else "file", entry.name, digest)
    return tree.hexdigest()


def signature(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """A signature of an algorithm's files from names, sizes and times; changes with any of them."""
    found = []
    with contextlib.suppress(BuildError, OSError):  # which the build then tells
        for entry in _entries(directory.resolve(), "", ""):
            status = os.lstat(entry.path)
            found.append((entry.name, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))


def hash_record(tree: Any, kind: str, name: str, content: bytes) -> None:
    """Add one entry to the hash of a tree."""
    for part in (kind.encode(), name.encode("utf-8", "surrogateescape"), content):
        tree.update(len(part).to_bytes(8, "big") + part)


def _copy_file(path: Path, destination: Path, replacements: tuple[tuple[bytes, bytes], ...]) -> tuple[bytes, bool]:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as source, destination.open("wb") as copy:
        mode = os.fstat(source.fileno()).st_mode
        block = source.read(_LARGEST_WITH_PLACEHOLDERS)
        if len(block) < _LARGEST_WITH_PLACEHOLDERS and b"\0" not in block:
            for placeholder, value in replacements:
                block = block.replace(placeholder, value)
        while block:
            digest.update(block)
            copy.write(block)
            block = source.read(_COPY_BLOCK)
    executable = bool(mode & 0o111)
    destination.chmod(0o555 if executable else 0o444)
    return digest.digest(), executable


def _entries(root: Path, owner: str, name: str) -> Iterator[SourceFile]:
    count, size = 0, 0
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            children = list(os.scandir(directory))
        except OSError as error:
            raise BuildError(f"Cannot read {directory}: {error.strerror}") from error
        if directory != root and any(child.name == "pyvenv.cfg" for child in children):
            continue  # a virtual environment
        has_package = directory == root and any(child.name == PACKAGE for child in children)
        ignored = _IGNORED | {_MADE_BY_NPM} if has_package else _IGNORED
        for child in children:
            path = Path(child.path)
            if child.name in ignored or child.name.endswith((".pyc", ".pyo")):
                continue
            published = "/".join(path.relative_to(root).parts)
            published = published.replace("__USER__", owner).replace("__ALGO__", name)
            if child.is_symlink():
                yield SourceFile(path, published, _link_within(path, root))
            elif child.is_dir():
                pending.append(path)
                continue
            elif child.is_file():
                size += child.stat().st_size
                yield SourceFile(path, published)
            else:
                raise BuildError(f"{path} is neither a file nor a directory", "Remove it, then publish again")
            count += 1
            if count > MAX_FILES or size > MAX_BYTES:
                raise BuildError(
                    f"{root} is too large to be an algorithm (over {MAX_FILES} files or {MAX_BYTES >> 30} GiB)",
                    "Name the algorithm's own directory; large models belong in hosted data ('algo cp')",
                )


def _link_within(path: Path, root: Path) -> str:
    """The link's target relative to the link; BuildError if that is not in the tree."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise BuildError(
            f"The symbolic link {path} points outside the algorithm's directory, to {resolved}",
            "Replace it with a copy of its target",
        )
    if not resolved.exists():
        raise BuildError(f"The target of the symbolic link {path} does not exist", "Remove it, then publish again")
    return os.path.relpath(resolved, path.parent.resolve())


def read_readme(directory: Path) -> tuple[str, str] | None:
    """Name and text of a published tree's README, at most 1 MiB; None without one."""
    for path in sorted(directory.glob("*")):
        if path.name.lower() in _READMES and path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                return path.name, file.read(_LARGEST_README).decode("utf-8", "replace")
    return None


def check_runnable(directory: Path) -> Language:
    """The language of the algorithm in a directory, checked to be runnable.

    Raises:
        BuildError: if this platform does not run it, or there is none.
    """
    if not directory.is_dir():
        raise BuildError(f"{directory} is not a directory", "Name the directory that holds the algorithm's src/")
    configuration = read_configuration(directory)
    language = configuration.language.lower()
    if _JAVASCRIPT.match(language) or (not language and _looks_like_javascript(directory)):
        required_node()
        _refuse_pythons_own(configuration, PACKAGE)
        return "javascript"
    if _R.match(language) or (not language and looks_like_r(directory)):
        required_r()
        _refuse_pythons_own(configuration, PACKAGES)
        return "r"
    foreign = next((title for pattern, title in _FOREIGN_LANGUAGES.items() if re.match(pattern, language)), None)
    if foreign is None and not language:
        foreign = next((title for file, title in _FOREIGN_FILES.items() if (directory / file).exists()), None)
    if foreign:
        raise BuildError(
            f"This platform runs algorithms in {', '.join(_runnable())}; {directory} holds one in {foreign}",
            "Start from a template: algo template python3 DIR",
        )
    if language and not re.match(r"python(-?3|$)", language):
        close = meant(language, _LANGUAGES)
        raise BuildError(
            f"{configuration.path} names a language that does not exist: {configuration.language!r}",
            f"Did you mean {close!r}?" if close else f"This platform runs {', '.join(_runnable())}",
        )
    if configuration.python and configuration.python < OLDEST[: len(configuration.python)]:
        raise BuildError(
            f"{configuration.path} asks for Python {'.'.join(map(str, configuration.python))}; this platform runs"
            f" Python {'.'.join(map(str, OLDEST))} and later",
            "Change 'python' there, or leave it out",
        )
    return "python3"


def _refuse_pythons_own(configuration: Configuration, packages: str) -> None:
    """Raise BuildError for settings that only Python algorithms have; `packages` names the file of dependencies."""
    said = {
        "replicas": configuration.forks,
        "python": configuration.python,
        "dependencies": configuration.dependencies is not None,
    }
    for name in (name for name, value in said.items() if value):
        instead = f"Write them into {packages}" if name == "dependencies" else f"Remove {name!r} there"
        raise BuildError(f"{configuration.path}: {name!r} is for algorithms in Python", instead)


def _runnable() -> list[str]:
    return ["Python 3", *(["JavaScript"] if find_node() else []), *(["R"] if find_r() else [])]


def _looks_like_javascript(directory: Path) -> bool:
    """Whether a directory that names no language has a package.json, and no Python module."""
    return (directory / PACKAGE).is_file() and not any((directory / "src").glob("*.py"))


def find_module(directory: Path, name: str, language: Language = "python3") -> str:
    """The dotted name of the algorithm's module in a *published* tree, checked to have something to run; its path,
    for JavaScript and R.

    It is the entry point that `algorithmia.conf` names, else `src/NAME.py`, else what `algorithmia.conf` calls the
    algorithm if it is published under another name.
    """
    if language == "javascript":
        from algo_local.algorithms.source_trees.scripts import find_script

        return find_script(directory, name)
    if language == "r":
        return find_r_script(directory, name)
    source = directory / "src"
    if not source.is_dir():
        raise BuildError("There is no src directory", f"An algorithm's code belongs in src/{name}.py")
    for path in sorted(source.rglob("*.py")):
        if path.is_file():
            _parse(path, str(path.relative_to(directory)))
    configured = read_configuration(directory)
    for candidate in (configured.module,) if configured.module else (name, configured.algoname):
        if not all(part.isidentifier() for part in candidate.split(".")):
            continue
        place = source.joinpath(*candidate.split("."))
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                _check_module(path, str(path.relative_to(directory)))
                return f"src.{candidate}"
    if configured.module:
        raise BuildError(
            f"There is no src/{configured.module.replace('.', '/')}.py, which {NAME} names as the entry point",
            f"Correct 'entry_point' in {NAME}",
        )
    found = sorted(path.name for path in source.glob("*.py") if not path.name.endswith(("__init__.py", "_test.py")))
    raise BuildError(
        f"There is no src/{name}.py (src holds {', '.join(found) or 'no module'})",
        f'Rename the module to {name}.py, or name it in {NAME} as "algoname"',
    )


def _parse(path: Path, shown: str) -> ast.AST:
    """A module's syntax. BuildError if it has none that Python knows; `shown` names it then."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of literals, which the author's own tools tell
            return compile(path.read_bytes(), shown, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise BuildError(
            f"{shown}, line {error.lineno}: {error.msg}", f"Correct it: {line}" if line else "Correct it", line
        ) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # unreadable, or no source text at all
        raise BuildError(f"{shown} is not Python source: {error}") from error


def _check_module(path: Path, shown: str) -> None:
    tree = _parse(path, shown)
    if not any(_offers_work(node) for node in _outside_functions(tree)):
        raise BuildError(
            f"{shown} has no entry point: neither a function 'apply' nor an ADK",
            "Define apply(input) in it",
        )


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module that run on import: all outside functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _outside_functions(child)


def _offers_work(node: ast.AST) -> bool:
    """Whether it binds `apply`, may bind it, or serves by itself: `ADK(f).init()`, `Algorithmia.handler(f).serve()`."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "apply"
    if isinstance(node, ast.alias):
        return (node.asname or node.name) in ("apply", "*")
    if isinstance(node, ast.Name):
        return node.id == "apply" and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.Call):
        return getattr(node.func, "attr", getattr(node.func, "id", "")) in ("ADK", "handler")
    return False
