"""Signatures with the key of a storage account: Shared Key of requests, and shared access signatures of blobs."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from urllib.parse import quote

VERSION = "2021-12-02"
"""The version of the REST API, of requests and of signatures."""

_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)
"""The standard headers of the text that is signed, in its order."""


class SharedKey:
    """The name of an account and one of its keys. ValueError if the key is not base64."""

    def __init__(self, account: str, key: str) -> None:
        self.account = account
        self._key = base64.b64decode(key, validate=True)

    def headers(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        *,
        length: int | None = None,
        moment: float | None = None,
    ) -> dict[str, str]:
        """The headers that make a request authentic, `headers` included; they hold for 15 minutes.

        `path` is encoded, `query` is not; the names of `headers` are in lower case. `length` is that of the body in
        bytes, None without one. `moment` is in seconds since the epoch.
        """
        signed = {**headers, "x-ms-date": formatdate(moment, usegmt=True), "x-ms-version": VERSION}
        standard = {**signed, "content-length": str(length) if length else ""}
        lines = [method, *(standard.get(name, "") for name in _SIGNED)]
        lines += [f"{name}:{signed[name]}" for name in sorted(signed) if name.startswith("x-ms-")]
        lines.append(f"/{self.account}{path}")
        lines += [f"{name}:{value}" for name, value in sorted(query)]
        return {**signed, "authorization": f"SharedKey {self.account}:{self._signature(lines)}"}

    def query(self, container: str, name: str, permissions: str, seconds: float, moment: float | None = None) -> str:
        """The query that allows a blob's address these permissions (`r`, `cw`) for so many seconds."""
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((time.time() if moment is None else moment) + seconds))
        # Empty lines stand for members that are not used: start, policy, addresses, protocol, snapshot, headers.
        resource = f"/blob/{self.account}/{container}/{name}"
        lines = [permissions, "", end, resource, "", "", "", VERSION, "b", *[""] * 7]
        members = {"se": end, "sp": permissions, "sv": VERSION, "sr": "b", "sig": self._signature(lines)}
        return "&".join(f"{key}={quote(value, safe='')}" for key, value in members.items())

    def _signature(self, lines: Iterable[str]) -> str:
        digest = hmac.digest(self._key, "\n".join(lines).encode(), "sha256")
        return base64.b64encode(digest).decode("ascii")
