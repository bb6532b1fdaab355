"""Checksums, computed during the transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_core.storage.contract import Checksum, Entry
from algo_core.storage.uri import DataUri
from algo_data.engine.failures import Corrupted

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WORTH_A_THREAD = 1 << 18
"""Block size, in bytes, from which passing a block to another thread costs less than hashing it."""


def compare(uri: DataUri, expected: Checksum, found: str) -> None:
    """Raises Corrupted if a file's checksum differs from that of its storage."""
    if found != expected.digest:
        raise Corrupted(
            f"{uri} was damaged in transfer: its {expected.algorithm.upper()} is {found}, "
            f"and the platform says {expected.digest}",
            "Try again; if it happens again, the stored file is damaged, or a proxy changes it",
        )


def check_content(uri: DataUri, checksum: Checksum | None, content: bytes) -> None:
    """Raises Corrupted if the checksum of content in memory differs from that of its storage."""
    if checksum and (digest := hasher(checksum)):
        digest.update(content)
        compare(uri, checksum, digest.hexdigest())


def hasher(checksum: Checksum | None) -> Any:
    """The hash function of a checksum; None without a checksum, or for an unknown algorithm."""
    if checksum is None:
        return None
    import hashlib

    if checksum.algorithm not in hashlib.algorithms_available:
        return None
    return hashlib.new(checksum.algorithm, usedforsecurity=False)


class Digest:
    """Hashes blocks in order, large ones in a separate thread while the next one is fetched."""

    def __init__(self, empty: Any) -> None:
        self._hash = empty
        self._pool: ThreadPoolExecutor | None = None
        self._pending: tuple[object, Future[None]] | None = None

    @staticmethod
    def of(entry: Entry) -> Digest | None:
        """A digest for the checksum of an entry, if it has one."""
        found = hasher(entry.checksum)
        return None if found is None else Digest(found)

    def wait_for(self, buffer: object) -> None:
        """Wait until a buffer that is to be refilled has been hashed."""
        if self._pending and _whole(self._pending[0]) is _whole(buffer):
            self._wait()

    def update(self, buffer: object, block: memoryview) -> None:
        """Add a block, which lies in `buffer`."""
        self._wait()
        if len(block) < WORTH_A_THREAD:
            self._hash.update(block)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1, "algo-digest")
        self._pending = (buffer, self._pool.submit(self._hash.update, block))

    def hexdigest(self) -> str:
        """The checksum of all blocks, in hexadecimal digits."""
        self._wait()
        digits: str = self._hash.hexdigest()
        return digits

    def _wait(self) -> None:
        if self._pending:
            _, future = self._pending
            self._pending = None
            future.result()

    def close(self) -> None:
        """End the thread."""
        if self._pool:
            self._pool.shutdown(wait=False)
            self._pool = None


def _whole(buffer: object) -> object:
    return buffer.obj if isinstance(buffer, memoryview) else buffer
