"""Object stores behind algo's own connections: a file as one stream, pipelined small files, and helper processes."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import NamedTuple, Protocol

from algo_connectors.common.errors import Changed, Unsatisfiable, store_errors
from algo_connectors.common.objects import ObjectStorage
from algo_connectors.common.reading import RangeReader, changed
from algo_connectors.common.stream import StreamReader
from algo_core.http.response import Response
from algo_core.storage.contract import Checksum, Entry, Kind, Reader
from algo_core.storage.uri import DataUri, is_only_key

CHECKED = 1 << 20
"""Bytes of a file up to which its MD5 is compared: hashing takes longer than a fast connection."""

FIRST = 16 << 20
"""Bytes that a download asks for at first: a store that is asked for everything reads ahead what others then wait for,
and a larger file is read over several connections."""

StartedRead = Callable[[], "tuple[str | None, bytes] | None"]
"""Waits for the MD5 of an object in hexadecimal digits, if known, and its content; None if it has to be read again."""

StartedWrite = Callable[[], "str | None"]
"""Waits for the version of an object that was written; None if it has to be written again."""


class DirectClient(Protocol):
    """A store's client over algo's own connections."""

    def can_fork(self) -> bool:
        """Whether its connections need nothing that a forked process lacks."""

    def after_fork(self) -> None:
        """After `fork`, in the child: use connections of its own."""


class OpenRange(NamedTuple):
    """The open response for a range of an object."""

    entry: Entry
    """The entry of the whole object."""
    checksum: Checksum | None
    """The checksum of the whole object, if the answer has one that is certain."""
    skipped: int
    """Bytes before the range that come as well."""
    response: Response


class DirectStorage(ObjectStorage):
    """An object store that may be behind algo's own connections (`direct`), or behind a package of the store."""

    @property
    @abc.abstractmethod
    def direct(self) -> DirectClient | None:
        """The client over algo's own connections; None behind a package of the store."""

    @abc.abstractmethod
    def open_range(
        self, uri: DataUri, bucket: str, key: str, start: int, stop: int | None, version: str | None
    ) -> OpenRange:
        """Open a range of an object, by the direct client. Raises FileNotFoundError, and what `fetch` raises."""

    @abc.abstractmethod
    def start_get(self, bucket: str, key: str, limit: int) -> StartedRead | None:
        """Request an object of at most `limit` bytes by the direct client; None if it has to be read otherwise."""

    @abc.abstractmethod
    def start_put(self, bucket: str, key: str, content: bytes) -> StartedWrite | None:
        """Send an object by the direct client; None if it has to be written otherwise."""

    def _open(
        self, uri: DataUri, offset: int, version: str | None, *, stop: int | None = None, ahead: int = 0
    ) -> Reader:
        if not self.direct:
            return super()._open(uri, offset, version, stop=stop, ahead=ahead)
        self.check_source(uri)
        try:
            return self._stream(uri, offset, stop, version)
        except Changed:
            return self.open(uri)
        except Unsatisfiable:
            return super()._open(uri, offset, version, stop=stop)

    def _stream(self, uri: DataUri, offset: int, stop: int | None, version: str | None) -> Reader:
        """An object as one stream. Raises what `fetch` raises."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        last = FIRST if stop is None and not offset else stop
        with store_errors(uri):
            try:
                opened = self.open_range(uri, bucket, key, offset, last, version)
            except FileNotFoundError:
                raise self.missing(uri) from None
        found, response = opened.entry, opened.response
        size = found.size or 0
        if version and found.version != version:  # the store has no conditions
            response.close()
            raise Changed(f"{uri} was changed")
        end = size if stop is None else min(stop, size)
        length = max(0, (min(end, last) if last and response.status == 206 else end) - offset)
        entry = checked(found, opened.checksum) if offset == 0 and length == size else found

        def rest(position: int) -> Reader:
            try:
                reader = self._stream(uri, position, None, found.version)
            except (Changed, Unsatisfiable):
                raise changed(uri) from None
            if (reader.entry.size, reader.entry.version) != (found.size, found.version):  # there are no conditions here
                reader.close()
                raise changed(uri)
            return reader

        def ahead(position: int) -> Reader:
            return RangeReader(self, uri, position, version=found.version, ahead=self.parallel - 1)

        return StreamReader(
            response,
            entry,
            offset,
            length,
            opened.skipped,
            rest=rest if offset + length < end else None,
            ahead=ahead if stop is None and found.version else None,
        )

    def start_read_small(self, uri: DataUri, limit: int) -> Callable[[], tuple[Checksum | None, bytes] | None] | None:
        """One GET, whose response is awaited later (`PipelinedStorage`)."""
        if not self.direct or uri.names_directory or is_only_key(uri.path):
            return None
        started = self.start_get(*self.locate(uri), limit)

        def read() -> tuple[Checksum | None, bytes] | None:
            found = started() if started else None
            return (Checksum("md5", found[0]) if found[0] else None, found[1]) if found else None

        return read if started else None

    def start_write_small(self, uri: DataUri, content: bytes) -> Callable[[], Entry | None] | None:
        """One PUT, whose response is awaited later (`PipelinedStorage`)."""
        if not self.direct or uri.names_directory or is_only_key(uri.path):
            return None
        self.check_file(uri)
        started = self.start_put(*self.locate(uri), content)

        def written() -> Entry | None:
            version = started() if started else None
            return Entry(uri, Kind.FILE, size=len(content), version=version) if version else None

        return written if started else None

    def can_fork(self) -> bool:
        """Whether requests go over algo's own connections (`ForkSafe`)."""
        return self.direct is not None and self.direct.can_fork()

    def after_fork(self) -> None:
        """Use connections and threads of its own."""
        assert self.direct
        self.direct.after_fork()
        for name in ("pool", "readable", "writable"):
            self.__dict__.pop(name, None)


def checked(entry: Entry, checksum: Checksum | None) -> Entry:
    """The entry of a file that is read as a whole, compared with its MD5 if that is quick."""
    return entry._replace(checksum=checksum) if (entry.size or 0) <= CHECKED else entry._replace(checksum=None)
