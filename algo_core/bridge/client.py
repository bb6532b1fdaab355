"""Client of the other process: for profiles, credentials and storages that this one does not have."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from typing import Any

from algo_core.bridge.channel import PIECE, Channel, begin
from algo_core.bridge.values import (
    dump_credential,
    dump_error,
    dump_profile,
    load_credential,
    load_entry,
    load_error,
    load_profile,
)
from algo_core.errors import AlgoError
from algo_core.settings.credentials import Credential
from algo_core.settings.profile import Profile
from algo_core.storage.contract import Entry, Reader, Source, Storage
from algo_core.storage.uri import DataUri


class Bridge:
    """The other process; `has_storages` says whether it is asked for storages."""

    def __init__(self, control: socket.socket, *, has_storages: bool = True) -> None:
        self._control = control
        self.has_storages = has_storages

    def begin(self, **request: Any) -> Channel:
        """Begin a conversation.

        Raises:
            Gone: if the other process has ended.
        """
        channel = begin(self._control)
        channel.send(request)
        return channel

    def ask(self, **request: Any) -> Any:
        """The answer to a request with one.

        Raises:
            AlgoError: what the other process raised.
        """
        with self.begin(**request) as channel:
            return answer_of(channel)

    def profile(self, name: str) -> Profile | None:
        """The profile of this name that the other process has from a plugin."""
        return load_profile(self.ask(what="profile", name=name)["profile"])

    def credential(self, profile: Profile, refused: Credential | None) -> Credential | None:
        """The credential that the other process has from a plugin."""
        asked = self.ask(what="credential", profile=dump_profile(profile), refused=dump_credential(refused))
        return load_credential(asked["credential"])

    def storage(self, uri: DataUri) -> Storage:
        """A storage of the other process.

        Raises:
            UsageError: if it has none for the scheme.
        """
        return BridgedStorage(self, self.ask(what="traits", uri=uri))

    def close(self) -> None:
        """Say that there will be no more conversations."""
        self._control.close()


def answer_of(channel: Channel) -> Any:
    """The next message, unless it is an error."""
    answer = channel.receive()
    if error := answer.get("error"):
        raise load_error(error)
    return answer


class BridgedStorage(Storage):
    """A storage of the other process, which carries out every method."""

    def __init__(self, bridge: Bridge, traits: dict[str, bool]) -> None:
        self._bridge = bridge
        self.has_folders = traits["has_folders"]
        self.needs_directories = traits["needs_directories"]
        self.paths_are_keys = traits["paths_are_keys"]

    def _call(self, method: str, *uris: DataUri, **options: Any) -> Any:
        return self._bridge.ask(what="call", method=method, uris=uris, options=options)

    def stat(self, uri: DataUri) -> Entry:
        """Done by the other process."""
        return load_entry(self._call("stat", uri)["entry"])

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """Done by the other process."""
        with self._bridge.begin(what="list", uri=uri) as channel:
            while not (page := answer_of(channel)).get("end"):
                yield from map(load_entry, page["entries"])

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """Done by the other process."""
        channel = self._bridge.begin(what="open", uri=uri, offset=offset, version=version)
        try:
            opened = answer_of(channel)
        except BaseException:
            channel.close()
            raise
        return BridgedReader(channel, load_entry(opened["entry"]), opened["offset"])

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """Done by the other process."""
        buffer = bytearray(PIECE)
        with self._bridge.begin(what="write", uri=uri, size=size) as channel:
            while "more" in (answer := answer_of(channel)):
                try:
                    got = source.readinto(buffer) or 0
                except AlgoError as error:
                    channel.send({"error": dump_error(error)})
                    raise
                channel.send({})
                channel.send_piece(memoryview(buffer)[:got])
        return load_entry(answer["entry"])

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """Done by the other process."""
        return self.write(uri, io.BytesIO(content), len(content))

    def mkdir(self, uri: DataUri) -> None:
        """Done by the other process."""
        self._call("mkdir", uri)

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """Done by the other process."""
        return int(self._call("rmdir", uri, force=force)["value"])

    def remove(self, uri: DataUri) -> None:
        """Done by the other process."""
        self._call("remove", uri)

    def can_hold_directories(self, uri: DataUri) -> bool:
        """Done by the other process."""
        return bool(self._call("can_hold_directories", uri)["value"])

    def can_hold_files(self, uri: DataUri) -> bool:
        """Done by the other process."""
        return bool(self._call("can_hold_files", uri)["value"])

    def is_link(self, uri: DataUri) -> bool:
        """Done by the other process."""
        return bool(self._call("is_link", uri)["value"])

    def is_same(self, one: DataUri, other: DataUri) -> bool:
        """Done by the other process."""
        return bool(self._call("is_same", one, other)["value"])


class BridgedReader:
    """An open file of the other process."""

    def __init__(self, channel: Channel, entry: Entry, offset: int) -> None:
        self.entry = entry
        self.offset = offset
        self._channel = channel
        self._left = memoryview(b"")
        self._is_over = False

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill the buffer with the bytes at hand."""
        if not self._left and not self._is_over:
            self._channel.send({"more": True})
            self._is_over = not answer_of(self._channel)["size"]
            self._left = memoryview(self._channel.receive_piece())
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        """End the transfer in the other process."""
        self._channel.close()
