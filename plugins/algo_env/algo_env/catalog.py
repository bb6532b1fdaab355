"""Languages, environments and templates of the platform (API sections 5.1, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from algo_core.errors import AlgoError, NotFoundError, PlatformError, RequestRefused

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient

ROOT = "algorithm-environments/edge"

ARCHIVE_LIMIT = 64 << 20
"""Maximum size, in bytes, of a template's archive. Templates are a few small source files."""

BLOCK = 1 << 16

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_VERSION = re.compile(r"\d+(\.\d+)*")

CatalogItem = dict[str, Any]
"""A language or an environment, with the members of API section 5.2."""


def languages(api: ApiClient) -> list[CatalogItem]:
    """The languages that algorithms can be written in.

    Raises:
        PlatformError: if the answer is not a list of them; and what `ApiClient.get_json` raises.
    """
    return _entries(api, api.get_json(f"{ROOT}/languages"), "languages")


def environments(api: ApiClient, language: str) -> list[CatalogItem]:
    """The environments of a language.

    Raises:
        NotFoundError: if the platform has no such language; the hint lists those that it has.
        PlatformError: if the answer is not a list of them; and what `ApiClient.get_json` raises.
    """
    unknown: AlgoError | None = None
    if is_component(language):
        try:
            answer = api.get_json(f"{ROOT}/languages/{language}/environments")
            found = answer.get("environments") if isinstance(answer, dict) else answer
            if found != []:
                return _entries(api, found, "environments")
        except (NotFoundError, RequestRefused) as error:
            unknown = error
    names = [str(entry["name"]) for entry in languages(api)]
    if language not in names:
        raise _unknown_language(language, names) from unknown
    if unknown:
        raise unknown
    return []


def template_of(api: ApiClient, text: str) -> tuple[str, str]:
    """The specification id of a template, and the name of its environment where a language was named instead.

    Of a language, that is the newest of its environments without a framework, preferably one without a GPU.

    Raises:
        NotFoundError: if the text is neither an id nor a language; the hint names the probable one.
        PlatformError: if the answer is no list; and what `ApiClient.get_json` raises.
    """
    if _ID.fullmatch(text):
        return text, ""
    names = [str(entry["name"]) for entry in languages(api)]
    if text not in names:
        meant = _environment_named(api, text, names)
        if meant and is_component(str(meant.get("environment_specification_id") or "")):
            return str(meant["environment_specification_id"]), str(meant["display_name"])
        raise _unknown_language(text, names)
    found = [entry for entry in environments(api, text) if entry.get("environment_specification_id")]
    if not found:
        raise NotFoundError(f"The platform has no template for {text}", "Choose another language; see: algo languages")
    newest = max(found, key=_rank)
    return str(newest["environment_specification_id"]), str(newest["display_name"])


def _rank(environment: CatalogItem) -> tuple[bool, bool, list[int], str]:
    name = str(environment["display_name"])
    version = _VERSION.search(name)
    return (
        "+" not in name,
        environment.get("machine_type") != "GPU",
        [int(part) for part in version[0].split(".")] if version else [],
        str(environment.get("created_at") or ""),
    )


def _environment_named(api: ApiClient, text: str, names: list[str]) -> CatalogItem | None:
    """The environment with this display name."""
    entries = (entry for name in names for entry in environments(api, name))
    return next((entry for entry in entries if str(entry["display_name"]).lower() == text.lower()), None)


def _unknown_language(text: str, names: list[str]) -> NotFoundError:
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in names}
    close = get_close_matches(text.lower(), by_lower, n=1)
    meant = f"Did you mean {by_lower[close[0]]!r}? " if close else ""
    return NotFoundError(
        f"The platform has no language {text!r}", f"{meant}It has {', '.join(names)}; see: algo languages"
    )


def is_component(text: str) -> bool:
    """Whether a text can stand in a path without leading to another route."""
    return "/" not in text and text not in {"", ".", ".."}


@contextmanager
def template_archive(api: ApiClient, specification_id: str) -> Iterator[IO[bytes]]:
    """Download a template's archive into an unnamed temporary file, open at its start; it is gone after the block.

    No credential is needed (API section 5.1).

    Raises:
        NotFoundError: if there is no such environment specification; the hint names the probable one.
        PlatformError: if the archive is larger than `ARCHIVE_LIMIT`.
        NetworkError: if it breaks off; and what `ApiClient.request` raises.
    """
    import tempfile

    from algo_core.http.api import decode_json

    path = f"{ROOT}/environment-specifications/{specification_id}/template"
    try:
        # The archive is wanted as it is stored, so it may not be unpacked or packed once more on its way.
        response = api.request("GET", path, as_stored=True)
    except NotFoundError as error:
        raise NotFoundError(
            f"The platform has no template {specification_id!r}", _what_was_meant(api, specification_id)
        ) from error
    with response, tempfile.TemporaryFile() as file:
        if "json" in response.headers.get("Content-Type", "").lower():
            decode_json(response, api.profile)
            raise PlatformError("The platform returned JSON instead of a template's archive")
        size = 0
        for block in response.blocks(BLOCK):
            size += len(block)
            if size > ARCHIVE_LIMIT:
                raise PlatformError(f"The template's archive is larger than {ARCHIVE_LIMIT >> 20} MiB")
            file.write(block)
        file.seek(0)
        yield file


def _what_was_meant(api: ApiClient, text: str) -> str:
    """The hint for an environment's other id in place of the specification's."""
    try:
        for language in [str(language["name"]) for language in languages(api)]:
            for entry in environments(api, language):
                if text.lower() == str(entry.get("id")).lower():
                    meant = entry.get("environment_specification_id")
                    return f"That is the environment {entry.get('display_name')}; its template is {meant}"
    except AlgoError:
        pass  # the lists need a credential, which templates do not
    return "A template is named by its environment_specification_id; list them with: algo environment LANG"


def _entries(api: ApiClient, value: Any, what: str) -> list[CatalogItem]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) and _is_named(entry, what) for entry in value):
        raise PlatformError(
            f"{api.address} did not return a list of {what}",
            "Check that the profile's address is that of the API: algo profile show",
        )
    return value


def _is_named(entry: CatalogItem, what: str) -> bool:
    return isinstance(entry.get("name" if what == "languages" else "display_name"), str)
