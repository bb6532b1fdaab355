"""The interface of Google clients for the storage of `gs://`: `direct_api.py` and `gcsfs_api.py` implement it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from algo_connectors.google.signature import Signatory

Parameters = Mapping[str, "str | int | None"]
"""Members of a query; those that are None are left out."""


class GoogleApi(Protocol):
    """Requests to the JSON API of Google Cloud Storage.

    `path` is below `/storage/v1/`, or begins with `/`; `names` fill its braces, encoded. All raise FileNotFoundError
    for a missing bucket or object, Changed for a condition that does not hold, and whatever `common.errors.error_of`
    translates.
    """

    location: str
    """The address of the store, without a slash at its end."""
    project: str
    """The project whose buckets are listed; empty if it is not known."""

    def signatory(self) -> Signatory | None:
        """The account that signs links; None if the credential, such as a person's, cannot sign."""

    def resource(self, method: str, path: str, *names: str, query: Parameters | None = None) -> Any:
        """The resource in the answer to a request."""

    def remove(self, path: str, *names: str) -> None:
        """A request that deletes something."""

    def media(
        self, bucket: str, key: str, start: int, stop: int, generation: str | None
    ) -> tuple[Mapping[str, str], bytes | bytearray]:
        """Headers, and the bytes of an object from `start` up to `stop` or its end. Unsatisfiable if it ends before."""

    def insert(self, bucket: str, query: Parameters, body: bytes, media_type: str) -> bytes:
        """Create or replace an object in one request; the resource as JSON."""

    def begin_upload(self, bucket: str, query: Parameters, metadata: Mapping[str, str]) -> str:
        """Begin a resumable upload; its address."""

    def send_part(self, address: str, content: bytes, content_range: str) -> tuple[Mapping[str, str], bytes]:
        """Send a part of a resumable upload; headers, and the resource as JSON after the last part."""

    def cancel_upload(self, address: str, seconds: float) -> None:
        """Cancel a resumable upload, within so many seconds."""
