"""Opens the objects of a platform's state (`state.py`): its directory, or the object store of `--objects URL`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from algo_core.errors import AlgoError, ConfigError

if TYPE_CHECKING:
    from algo_core.storage.contract import Storage
    from algo_core.storage.uri import DataUri
    from algo_local.data.objects import Objects
    from algo_local.data.store_objects import StoreObjects
    from algo_local.state import State

TIMEOUT = 20
"""Seconds for which S3 may be silent before a request is tried again, unless an option says otherwise."""

_DIRECT = frozenset({"region", "endpoint_url", "access_key_id", "secret_access_key", "session_token", "anon", "bucket"})
"""Options with which S3 is reached over algo's own connections, which have the option `timeout`."""

_SECRET = re.compile("password|secret|token|key|sig|credential", re.IGNORECASE)

_UNSHARED = frozenset(
    {
        *("memory", "data", "async_wrapper", "dask", "generic", "reference"),
        *("file", "local", "asynclocal", "cached", "blockcache", "filecache", "simplecache"),
        *("dir", "zip", "tar", "libarchive"),
    }
)
"""Protocols of fsspec that have files in the memory or on the disk of one machine, or only show those of others."""

_READ_ONLY = frozenset({"http", "https", "git", "github", "gist"})
"""Protocols of fsspec that nothing can be stored by."""

EXTRA = "algo-local[objects]"
"""What has to be installed for object stores."""


def open_objects(state: State, collections: Callable[[], set[str]], owner: Callable[[], str]) -> Objects:
    """The objects of a state; for `collections` and `owner` see `StoreObjects`. Raises ConfigError as `open_store`."""
    if state.objects:
        return open_store(state.objects, state.root, collections, owner)
    from algo_local.data.directory import DirectoryObjects

    return DirectoryObjects(state.root)


def open_store(url: str, root: Path, collections: Callable[[], set[str]], owner: Callable[[], str]) -> StoreObjects:
    """Objects in the store of a URL such as `s3://BUCKET/PREFIX`; nothing is sent yet.

    Options come from `[connectors.SCHEME]` of config.toml and the URL's query, credentials as for any URI of the
    connector. Files are received below `root`. For the other arguments see `StoreObjects`.

    Raises:
        ConfigError: if the store cannot be opened, or a package for it is not installed.
    """
    from algo_local.data.incoming import Incoming
    from algo_local.data.store_objects import StoreObjects
    from algo_local.state import place

    uri, options = _parsed(url)
    storage = _opened(uri, options)
    return StoreObjects(storage, uri, place(str(uri)), Incoming(f"{os.fspath(root)}/incoming"), collections, owner)


def _parsed(url: str) -> tuple[DataUri, dict[str, str]]:
    from algo_core.storage.uri import HOSTED, LOCAL, is_only_key, parse_data_uri
    from algo_local.state import place

    text, _, query = url.partition("?")
    try:
        uri = parse_data_uri(text)
    except AlgoError as error:
        raise ConfigError(f"No object store can be opened at {place(url)}", error.hint) from None
    uri = uri._replace(path=uri.path.rstrip("/"))
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "@" in uri.path or any(_SECRET.search(name) or "@" in value for name, value in options.items()):
        raise ConfigError(
            f"The URL of an object store holds no credential: {place(url)}",
            f"Give them as the store's own tools take them, or in [connectors.{uri.connector}] of config.toml",
        )
    if uri.scheme in {HOSTED, LOCAL}:
        raise ConfigError(
            f"{place(url)} is not an object store",
            "Leave out --objects: ALGO_LOCAL_ROOT names the directory of the platform's state",
        )
    if not uri.path or is_only_key(uri.path):
        raise ConfigError(
            f"{place(url)} does not name a place in a store", f"Write {uri.connector}://BUCKET, or with a PREFIX"
        )
    return uri, options


def _opened(uri: DataUri, options: dict[str, str]) -> Storage:
    from algo_core.context import App
    from algo_core.storage import registry
    from algo_local.state import place

    app = App()
    given: dict[str, Any] = {**registry.options_of(app.config, uri.connector), **options}
    given.pop("direct", None)
    scheme = given.pop("protocol", None) or uri.scheme
    if scheme in _UNSHARED:
        raise ConfigError(
            f"{place(str(uri))} is not shared: each process sees only what it stored itself by {scheme}",
            "Name an object store, such as s3://BUCKET/PREFIX, or leave out --objects: then objects are files of the"
            " platform's directory",
        )
    if scheme in _READ_ONLY:
        raise ConfigError(
            f"Nothing can be stored at {place(str(uri))}",
            "Name an object store, such as s3://BUCKET/PREFIX; one at an address of its own is"
            f" s3://BUCKET/PREFIX?endpoint_url={scheme}://HOST:PORT",
        )
    if scheme == "s3" and not given.keys() - _DIRECT:
        given["timeout"] = TIMEOUT
    if not any(row[4] for record in app.plugins.allowed for row in record.connectors):
        raise ConfigError(
            f"No plugin is installed that opens {uri.scheme}://", f"Install it: {app.plugins.to_install(EXTRA)}"
        )
    return registry.open_store(app.plugins, scheme, given)
