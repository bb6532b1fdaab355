"""Serves the other process: profiles, credentials and storages of this one."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

from algo_core.bridge.channel import PIECE, Channel, Gone, accept
from algo_core.bridge.values import (
    dump_credential,
    dump_entry,
    dump_error,
    dump_profile,
    load_credential,
    load_error,
    load_profile,
)
from algo_core.errors import AlgoError, PluginError, cause
from algo_core.settings.profiles import ProfileResolver
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri

PAGE = 500
"""Entries in one message of a listing."""


class Serving(Protocol):
    """The part of the running `App` that is served."""

    @property
    def profiles(self) -> ProfileResolver:
        """Finds profiles by name."""

    def storage(self, uri: DataUri) -> Storage:
        """The storage of a URI."""


def serve(app: Serving, control: socket.socket) -> None:
    """Answer until the other process has ended. Each conversation has a thread."""
    while channel := accept(control):
        threading.Thread(target=_converse, args=(app, channel), daemon=True).start()


def _converse(app: Serving, channel: Channel) -> None:
    with channel:
        try:
            try:
                request = channel.receive()
                _ANSWERS[request["what"]](app, channel, request)
            except AlgoError as error:
                channel.send({"error": dump_error(error)})
            except BaseException as error:  # a plugin's mistake is told, and ends this conversation only
                channel.send({"error": dump_error(PluginError(f"A storage or hook failed: {cause(error)}"))})
        except Gone:
            return


def _profile(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    channel.send({"profile": dump_profile(app.profiles.stand_in(request["name"]))})


def _credential(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    profile = load_profile(request["profile"])
    assert profile is not None
    found = app.profiles.other_credential(profile, load_credential(request["refused"]))
    channel.send({"credential": dump_credential(found)})


def _traits(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    storage = app.storage(DataUri(*request["uri"]))
    channel.send({name: getattr(storage, name) for name in ("has_folders", "needs_directories", "paths_are_keys")})


def _list(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    uri = DataUri(*request["uri"])
    page: list[Any] = []
    try:
        for entry in app.storage(uri).list(uri):
            page.append(dump_entry(entry))
            if len(page) == PAGE:
                channel.send({"entries": page})
                page = []
    finally:
        channel.send({"entries": page})
    channel.send({"end": True})


def _open(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    uri = DataUri(*request["uri"])
    reader = app.storage(uri).open(uri, request["offset"], version=request["version"])
    try:
        channel.send({"entry": dump_entry(reader.entry), "offset": reader.offset})
        buffer = bytearray(PIECE)
        while channel.receive():  # asked for piece by piece: who stops reading leaves nothing under way
            try:
                got = reader.readinto(buffer)
            except AlgoError as error:
                channel.send({"error": dump_error(error)})
                return
            channel.send({"size": got})
            channel.send_piece(memoryview(buffer)[:got])
            if not got:
                return
    finally:
        reader.close()


def _write(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    uri = DataUri(*request["uri"])
    channel.send({"entry": dump_entry(app.storage(uri).write(uri, _Sent(channel), request["size"]))})


class _Sent(io.RawIOBase):
    """The content that the other process sends, asked for piece by piece."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._left = b""
        self._is_over = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the bytes at hand.

        Raises:
            AlgoError: what the source raised there.
        """
        if not self._left and not self._is_over:
            self._channel.send({"more": True})
            if error := self._channel.receive().get("error"):
                raise load_error(error)
            self._left = self._channel.receive_piece()
            self._is_over = not self._left
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _call(app: Serving, channel: Channel, request: dict[str, Any]) -> None:
    """One of the methods that take a URI and plain values, and return an entry or a plain value."""
    if request["method"] not in _METHODS:
        raise PluginError(f"No storage is asked for {request['method']!r} in this way")
    uris = [DataUri(*uri) for uri in request["uris"]]
    answer = getattr(app.storage(uris[0]), request["method"])(*uris, **request["options"])
    channel.send({"entry": dump_entry(answer)} if request["method"] == "stat" else {"value": answer})


_METHODS = frozenset(
    {"stat", "mkdir", "rmdir", "remove", "can_hold_directories", "can_hold_files", "is_link", "is_same"}
)

_ANSWERS: dict[str, Callable[[Serving, Channel, dict[str, Any]], None]] = {
    "profile": _profile,
    "credential": _credential,
    "traits": _traits,
    "list": _list,
    "open": _open,
    "write": _write,
    "call": _call,
}
