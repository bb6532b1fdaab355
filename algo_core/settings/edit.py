"""Edits the user's configuration file atomically, keeps its comments and order, and makes it private."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from algo_core.errors import ConfigError
from algo_core.files import replacing
from algo_core.locks import locked
from algo_core.text import decoded

if TYPE_CHECKING:
    pass

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

HEADER = "Settings and profiles of the algo command line; 'algo config' and 'algo profile' edit it too."


@contextmanager
def editing(file: str) -> Iterator[Any]:
    """Edit the document within the block; it is written when the block ends without an error.

    Concurrent edits are serialized. Yields a `tomlkit.TOMLDocument`.

    Raises:
        ConfigError: if the file is not TOML, or cannot be read or written; then it is unchanged.
    """
    from pathlib import Path

    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = Path(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
        with locked(path.parent / f".{path.name}.lock"):
            try:
                document = tomlkit.parse(decoded(path.read_bytes()))
            except FileNotFoundError:
                document = tomlkit.document()
                document.add(tomlkit.comment(HEADER))
            except (TOMLKitError, UnicodeDecodeError) as error:
                raise ConfigError(f"Cannot edit {path}: {error}", "Fix it by hand first") from None
            before = tomlkit.dumps(document)
            yield document
            if (after := tomlkit.dumps(document)) != before or not path.exists():
                with replacing(path, mode=FILE_MODE, durable=True) as new:
                    new.write(after.encode("utf-8"))
            if path.parent.stat().st_mode & 0o077 and path.parent.name == "algo":
                path.parent.chmod(DIRECTORY_MODE)
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}", "Check the directory's owner and rights") from None


def table_at(document: Any, *names: str) -> Any:
    """The table `[names...]` of a document, created if missing."""
    import tomlkit

    table = document
    for index, name in enumerate(names):
        if name not in table:
            table[name] = tomlkit.table(is_super_table=index + 1 < len(names))
        table = table[name]
    return table


def set_top_level(document: Any, key: str, value: Any) -> None:
    """Set a key outside all tables: in TOML it must come before the first one."""
    if key in document:
        document[key] = value
        return
    later = {name: document[name] for name in list(document) if isinstance(document[name], dict)}
    for name in later:
        del document[name]
    document[key] = value
    for name, table in later.items():
        document[name] = table
