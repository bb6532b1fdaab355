"""Parses responses of Azure Blob Storage: headers of blobs, and XML documents."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from algo_connectors.azure.blob_client import Blob, BlobPage
from algo_core.errors import PlatformError
from algo_core.http.response import Response

DOCUMENT_LIMIT = 64 << 20
"""Bytes of a listing's page, or another answer in XML."""


class Listing(NamedTuple):
    """A page, and the marker of the next one; empty after the last."""

    page: BlobPage
    following: str


def error_in(response: Response) -> tuple[str, str]:
    """Code and message of a refusal; the code stands in a header as well, for answers without a body."""
    code = response.headers.get("x-ms-error-code", "")
    try:
        root = ElementTree.fromstring(response.read(DOCUMENT_LIMIT))
    except (ElementTree.ParseError, PlatformError):
        return code, ""
    return root.findtext("Code") or code, root.findtext("Message") or ""


def blob_of(response: Response, size: int | None = None) -> Blob:
    """The blob described by headers; `size` is its size if Content-Length is that of a range."""
    headers = response.headers
    modified = headers.get("Last-Modified")
    if size is None:
        size = int(headers.get("Content-Length", "0"))
    moment = parsedate_to_datetime(modified) if modified else None
    return Blob(size, moment, quoted(headers.get("ETag")), md5_of(headers, whole=response.status == 200))


def md5_of(headers: Mapping[str, str], *, whole: bool) -> str | None:
    """The MD5 of a blob's content, if the account knows it; `Content-MD5` of a part is that of the part."""
    return _digits(headers.get("x-ms-blob-content-md5") or (headers.get("content-md5") if whole else None))


def quoted(etag: str | None) -> str | None:
    """An ETag as headers have it; listings leave the quotes out."""
    return f'"{etag.strip(chr(34))}"' if etag else None


def listing_of(answer: ElementTree.Element) -> Listing:
    """A page of blobs. Raises PlatformError for an entry without a size."""
    found = answer.find("Blobs")
    blobs, prefixes = [], []
    for entry in () if found is None else found:
        name = entry.find("Name")
        if name is None or name.text is None:
            raise PlatformError("The store's listing has an entry without a name")
        # Names with characters that XML cannot hold are percent-encoded.
        text = unquote(name.text) if name.get("Encoded") == "true" else name.text
        if entry.tag == "BlobPrefix":
            prefixes.append(text)
        else:
            blobs.append((text, _listed(entry.find("Properties"))))
    return Listing(BlobPage(prefixes, blobs), answer.findtext("NextMarker") or "")


def containers_of(answer: ElementTree.Element) -> tuple[list[str], str]:
    """The names on a page of containers, and the marker of the next page."""
    names = [found.findtext("Name") or "" for found in answer.iter("Container")]
    return names, answer.findtext("NextMarker") or ""


def _listed(properties: ElementTree.Element | None) -> Blob:
    text = (lambda name: None) if properties is None else properties.findtext
    try:
        modified = text("Last-Modified")
        moment = parsedate_to_datetime(modified) if modified else None
        return Blob(int(text("Content-Length") or ""), moment, quoted(text("Etag")), _digits(text("Content-MD5")))
    except ValueError as error:
        raise PlatformError(f"The store returned an invalid listing: {error}") from None


def _digits(digest: str | None) -> str | None:
    try:
        return base64.b64decode(digest, validate=True).hex() if digest else None
    except (ValueError, binascii.Error):
        return None
