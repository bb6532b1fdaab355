"""The model manifest of an algorithm, and its frozen form (API section 8.7).

`model_manifest.json` names the files of models that the ADK downloads when the algorithm is loaded, or when they are
first used. `model_manifest.json.freeze` is the same with the MD5 of each file, so that the algorithm stops when one
was changed since (`fail_on_tamper`), and with one of the whole, so that the ADK notices when the frozen file was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from algo_core.errors import AlgoError, ConfigError, NetworkError
from algo_core.http.retry import Tries
from algo_core.storage.contract import Storage
from algo_core.storage.uri import HOSTED, DataUri, parse_data_uri

MANIFEST = "model_manifest.json"
FROZEN = f"{MANIFEST}.freeze"

REQUIRED, OPTIONAL = "required_files", "optional_files"
MEMBERS = ("name", "source_uri", "fail_on_tamper", "metadata", "md5_checksum")
BLOCK = 1 << 20
TRIES = 4

_FILE = '{"name": "model", "source_uri": "data://.my/models/model.bin", "fail_on_tamper": true}'
EXAMPLE = f'A manifest looks like this: {{"{REQUIRED}": [{_FILE}], "{OPTIONAL}": []}}'


def read(content: bytes, shown: str) -> dict[str, Any]:
    """A manifest that can be frozen; both lists of files are there.

    Raises:
        ConfigError: if it is none; the message names `shown` and the member.
    """
    try:
        manifest = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} is not text in UTF-8", EXAMPLE) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{shown}, line {error.lineno}: {error.msg} (column {error.colno})", EXAMPLE) from None
    except (RecursionError, ValueError):
        raise ConfigError(f"{shown} is no JSON that can be read", EXAMPLE) from None
    if not isinstance(manifest, dict):
        raise ConfigError(f"{shown} must be a JSON object", EXAMPLE)
    names: set[str] = set()
    for kind in (REQUIRED, OPTIONAL):
        if not isinstance(manifest.setdefault(kind, []), list):
            raise ConfigError(f"{shown}: {kind} must be a list", EXAMPLE)
        for index, file in enumerate(manifest[kind]):
            _check(file, f"{shown}: {kind}[{index}]", names)
    return manifest


def _check(file: Any, where: str, names: set[str]) -> None:
    if not isinstance(file, dict):
        raise ConfigError(f"{where} must be an object", EXAMPLE)
    for member in ("name", "source_uri"):
        if not isinstance(file.get(member), str) or not file[member]:
            raise ConfigError(f"{where} needs a {member}", EXAMPLE)
    if not isinstance(file.get("fail_on_tamper", False), bool):
        raise ConfigError(f"{where}.fail_on_tamper must be true or false", EXAMPLE)
    if file["name"] in names:
        raise ConfigError(f"{where}: {file['name']} names another file already", "Give each file a name of its own")
    names.add(file["name"])


def misspelt(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Members whose names are nearly those that the ADK knows, which it would ignore, with the name that was meant."""
    from difflib import get_close_matches

    def nearly(value: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for name in value:
            if name not in known and (close := get_close_matches(name.lower(), known, n=1)):
                yield name, close[0]

    yield from nearly(manifest, (REQUIRED, OPTIONAL, "timestamp", "lock_checksum"))
    for _, file in files_of(manifest):
        yield from nearly(file, MEMBERS)


def files_of(manifest: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of a manifest, each with the member that lists it."""
    for kind in (REQUIRED, OPTIONAL):
        for file in manifest[kind]:
            yield kind, file


def source_of(file: Mapping[str, Any]) -> DataUri:
    """Where the algorithm's client reads a file; without a scheme that is hosted data.

    Raises:
        ConfigError: if it is a path of one machine, or no URI.
    """
    text: str = file["source_uri"]
    try:
        uri = parse_data_uri(text if "://" in text else f"{HOSTED}://{text.lstrip('/')}")
    except AlgoError as error:
        raise ConfigError(f"{file['name']} of {MANIFEST}: {error.message}", error.hint) from None
    if uri.is_local:
        raise ConfigError(
            f"{file['name']} of {MANIFEST} is a file of this machine: {text}",
            f"Copy it to where the algorithm can read it, and name that: algo cp {uri} data://.my/models/",
        )
    return uri


def freeze(manifest: dict[str, Any], md5: Callable[[dict[str, Any]], str], now: float) -> dict[str, Any]:
    """Add the time, the MD5 of each file, and that of the whole, as the ADK checks it.

    The last is that of Python's text for the dictionary, not of JSON, so that the order of members counts.
    """
    manifest.pop("lock_checksum", None)
    manifest["timestamp"] = str(now)
    for _, file in files_of(manifest):
        file["md5_checksum"] = md5(file)
    manifest["lock_checksum"] = hashlib.md5(str(manifest).encode(), usedforsecurity=False).hexdigest()
    return manifest


def md5_of(
    storage: Storage, uri: DataUri, read: Callable[[int], None], pause: Callable[[float], None] | None = None
) -> str:
    """The MD5 of a file's content, in hexadecimal digits; a reading that breaks off continues.

    `read` is told of the bytes that were read, or read in vain (negative).

    Raises:
        AlgoError: if the file cannot be read.
    """
    tries = Tries(TRIES, pause)
    digest = hashlib.md5(usedforsecurity=False)
    position, version = 0, None
    buffer = bytearray(BLOCK)
    while True:
        try:
            reader = storage.open(uri, position, version=version)
            try:
                if position and (reader.offset != position or reader.entry.version != version):
                    read(-position)
                    digest, position = hashlib.md5(usedforsecurity=False), 0
                    if reader.offset:
                        continue
                version = reader.entry.version
                while count := reader.readinto(buffer):
                    digest.update(memoryview(buffer)[:count])
                    position += count
                    read(count)
                    tries.renew()
                return digest.hexdigest()
            finally:
                reader.close()
        except NetworkError as error:
            tries.spend_on(error)
            if version is None and position:
                read(-position)
                digest, position = hashlib.md5(usedforsecurity=False), 0
