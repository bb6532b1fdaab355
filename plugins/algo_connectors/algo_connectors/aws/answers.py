"""Parses responses of S3: headers of objects, and XML documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree

from algo_connectors.aws.s3_client import Object, ObjectPage
from algo_core.errors import PlatformError
from algo_core.http.response import Response

DOCUMENT_LIMIT = 16 << 20
"""Bytes of a listing's page, or another answer in XML."""

_MD5 = re.compile(r"[0-9a-f]{32}")


def error_in(response: Response) -> dict[str, str]:
    """The members of an error's body; none if it is not in XML."""
    try:
        root = ElementTree.fromstring(response.read(DOCUMENT_LIMIT))
    except (ElementTree.ParseError, PlatformError):
        return {}
    return {name_of(member): member.text or "" for member in root}


def object_of(response: Response, size: int | None = None) -> Object:
    """The object described by headers; `size` is its size if Content-Length is that of a range."""
    modified = response.headers.get("Last-Modified")
    if size is None:
        size = int(response.headers.get("Content-Length", "0"))
    moment = parsedate_to_datetime(modified) if modified else None
    return Object(size, moment, response.headers.get("ETag"), md5_of(response.headers))


def md5_of(headers: Mapping[str, str]) -> str | None:
    """The MD5 of an object, which is its ETag if it was neither made of parts nor encrypted with a key of its own."""
    etag = headers.get("etag", "").strip('"').lower()
    if not _MD5.fullmatch(etag) or "x-amz-server-side-encryption-customer-algorithm" in headers:
        return None
    return None if headers.get("x-amz-server-side-encryption", "").startswith("aws:kms") else etag


def page_of(answer: ElementTree.Element) -> ObjectPage:
    """The page of a listing. Raises PlatformError for an entry without a size."""
    from urllib.parse import unquote_plus

    # A thousand entries each: names are put together once, and looked for by code that is compiled.
    space = answer.tag[: answer.tag.rfind("}") + 1]
    key, prefix = f"{space}Key", f"{space}Prefix"
    decode = unquote_plus if answer.findtext(f"{space}EncodingType") == "url" else str
    facts = tuple(f"{space}{name}" for name in ("Size", "LastModified", "ETag"))
    objects = [
        (decode(found.findtext(key) or ""), _listed(*map(found.findtext, facts)))
        for found in answer.iterfind(f"{space}Contents")
    ]
    prefixes = [decode(found.findtext(prefix) or "") for found in answer.iterfind(f"{space}CommonPrefixes")]
    is_more = (answer.findtext(f"{space}IsTruncated") or "").lower() == "true"
    return ObjectPage(prefixes, objects, answer.findtext(f"{space}NextContinuationToken") or "" if is_more else None)


def _listed(size: str | None, modified: str | None, etag: str | None) -> Object:
    try:
        moment = datetime.fromisoformat(modified.replace("Z", "+00:00")) if modified else None
        return Object(int(size or ""), moment, etag)
    except ValueError as error:
        raise PlatformError(f"The store returned an invalid listing: {error}") from None


def name_of(element: ElementTree.Element) -> str:
    """Its name without the namespace, which some stores leave out."""
    return element.tag.rpartition("}")[2]


def text_of(element: ElementTree.Element, name: str) -> str:
    """The text of a member; empty if there is none."""
    return next((member.text or "" for member in element if name_of(member) == name), "")
