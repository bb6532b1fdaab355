"""Hosted data, and the connectors of the platform, through its data API (API section 4)."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from json import dumps
from typing import TYPE_CHECKING, Any

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    NetworkError,
    NotFoundError,
    PlatformError,
    RequestRefused,
)
from algo_core.http.retry import Tries
from algo_core.http.transport import BytesBody
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory, Reader, Source, Storage
from algo_core.storage.uri import HOSTED, DataUri, is_only_key, pasted
from algo_data.hosted.api_path import COLLECTION, COLLECTION_DEPTH, api_path, components, how_to_make
from algo_data.hosted.download import HostedReader
from algo_data.hosted.listing import entries_of, marker_of, names_of
from algo_data.hosted.not_found import how_to_name, where_it_may_be
from algo_data.hosted.pipeline import Pipelines, page_of
from algo_data.hosted.response_headers import content_range, entry_of, is_taken_as_written, kind_of, stored_checksum
from algo_data.hosted.upload import content_of, spooled

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.http.api import ApiClient
    from algo_core.http.pipeline import PendingResponse
    from algo_core.http.response import Response
    from algo_core.http.transport import RequestBody
    from algo_data.hosted.pipeline import Answered, Confirmed

MY = ".my"
SESSION = ".session"
SPECIAL = (".algo", SESSION)
"""Owners whose directories always exist (API section 4.3)."""

EMPTY_PAGES = 100
"""Maximum number of consecutive empty pages."""

BYTES = {"Content-Type": "application/octet-stream"}

OBJECT_STORES = frozenset({"s3", "gs", "azureblob"})
"""Connectors in which every character of a path counts."""

FILE_DEPTH = COLLECTION_DEPTH + 1
"""Components of a file in a collection: owner, collection, name (API section 4.2)."""


def open_hosted(app: App, uri: DataUri) -> Storage:
    """The storage for `data://` or one of the platform's connectors (the hook `algo_connectors`)."""
    return HostedStorage(app.api, uri.scheme, int(app.setting("retries").value))


class HostedStorage(Storage):
    """The platform's hosted data, or one of its connectors.

    `retries` is the number of retries of a listing that is cut off; other requests are retried by the client.
    """

    def __init__(self, api: ApiClient, scheme: str, retries: int = 4) -> None:
        self._api = api
        self._retries = retries
        self._pipelines = Pipelines(api)
        self.has_folders = scheme != HOSTED
        self.paths_are_keys = scheme in OBJECT_STORES
        self.needs_directories = scheme == HOSTED

    def stat(self, uri: DataUri) -> Entry:
        """One HEAD; none for the root."""
        if not self._path(uri):
            return Entry(uri, Kind.DIRECTORY)
        with self._request("HEAD", uri) as response:
            return entry_of(uri, response.headers)

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """One GET per page (API section 4.4)."""
        for page in self._pages(uri):
            yield from entries_of(uri, page)

    def names(self, uri: DataUri) -> Iterator[builtins.list[str]]:
        """One GET per page, and its names together."""
        for page in self._pages(uri):
            yield names_of(uri, page)

    def _pages(self, uri: DataUri) -> Iterator[Any]:
        """All pages; the next one is requested while the caller processes the previous one."""
        marker: str | None = None
        ahead: PendingResponse | None = None
        seen: set[str | None] = set()
        empty = 0
        try:
            while True:
                answer, ahead = page_of(ahead) if ahead else None, None
                page: Any = answer if answer is not None else self._page(uri, marker)
                following = marker_of(uri, page)
                seen.add(marker)
                empty = 0 if page.get("files") or page.get("folders") else empty + 1
                is_endless = following in seen or empty > EMPTY_PAGES
                if following is not None and not is_endless:
                    ahead = self._pipelines.ask_page(uri, following)
                yield page
                if following is None:
                    return
                if is_endless:
                    raise PlatformError(f"The listing of {uri} does not end: its pages repeat, or are empty")
                marker = following
        finally:
            if ahead:
                ahead.forget()

    def _page(self, uri: DataUri, marker: str | None) -> Any:
        from algo_core.http.api import decode_json

        retries = Tries(self._retries)
        while True:
            # What stands there may be a file of any size: the headers come first.
            wanted = None if marker or uri.scheme == HOSTED else "directory"
            with self._request("GET", uri, query={"marker": marker, "type": wanted}) as response:
                if kind_of(response.headers) is Kind.FILE:
                    raise NotADirectory(f"{uri} is a file", entry=entry_of(uri, response.headers))
                try:
                    return decode_json(response, self._api.profile)
                except NetworkError as error:
                    retries.spend_on(error)

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """One GET; from an offset with `Range`, and `If-Range` where the version is known."""
        return self._open(uri, f"bytes={offset}-" if offset else None, offset, version)

    def open_part(self, uri: DataUri, offset: int, length: int, version: str) -> Reader:
        """One GET for a part of a file (`RangedStorage`)."""
        return self._open(uri, f"bytes={offset}-{offset + length - 1}", offset, version)

    def _open(self, uri: DataUri, asked: str | None, offset: int, version: str | None) -> Reader:
        self._check_file(uri)
        headers = {}
        if asked:
            headers["Range"] = asked
            if version:
                headers["If-Range"] = version
        response = self._request("GET", uri, headers=headers)
        try:
            entry = entry_of(uri, response.headers)
            if entry.is_directory:
                raise IsADirectory(f"{uri} is a directory")
            _check_taken(uri, response)
            part = content_range(response.headers) if response.status == 206 else None
            start = part[0] if part else 0
            if start > offset or (response.status == 206 and not part):
                raise PlatformError(f"The platform sent another part of {uri} than the requested one")
        except BaseException:
            response.close()
            raise
        if start and version and entry.version != version:  # If-Range was ignored
            response.close()
            return self._open(uri, None, 0, None)
        end = part[1] + 1 if part else entry.size
        return HostedReader(response, entry, start, end, self._api.address)

    def read_small(self, uri: DataUri, limit: int) -> tuple[Entry, bytes] | None:
        """One GET; the body is not read if it is too large or compressed."""
        if uri.names_directory:
            return None
        with self._request("GET", uri) as response:
            entry = entry_of(uri, response.headers)
            if entry.is_directory or entry.size is None or entry.size > limit or response.status != 200:
                return None
            try:
                content = response.content
            except NetworkError:
                return None
            return (entry, content) if len(content) == entry.size else None

    def start_read_small(self, uri: DataUri, limit: int) -> Answered | None:
        """One GET, whose response is awaited later (`PipelinedStorage`)."""
        return self._pipelines.ask(uri, limit) if self._is_plain(uri) else None

    def start_write_small(self, uri: DataUri, content: bytes) -> Confirmed | None:
        """One PUT, whose response is awaited later (`PipelinedStorage`)."""
        return self._pipelines.send(uri, content) if self._is_plain(uri) else None

    def _is_plain(self, uri: DataUri) -> bool:
        """Whether a file's path is certain to be used as written."""
        return not (uri.names_directory or (self.has_folders and is_only_key(uri.path)))

    def _check_file(self, uri: DataUri) -> None:
        if uri.names_directory and not (self.paths_are_keys and uri.path):
            raise IsADirectory(f"{uri} is a directory")

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """One PUT, retried if it is cut off; a source of unknown size is buffered first."""
        if uri.names_directory:
            raise IsADirectory(f"{uri} is a directory", "Name the file in it")
        if size is None:
            with spooled(source) as (kept, length):
                return self._put(uri, content_of(kept, length))
        return self._put(uri, content_of(source, size))

    def kept(self, source: Source) -> AbstractContextManager[tuple[Source, int]]:
        """Buffered in memory, or in an unnamed file (`ReplayableStorage`)."""
        return spooled(source)

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """One PUT, retried if it is cut off."""
        if uri.names_directory:
            raise IsADirectory(f"{uri} is a directory", "Name the file in it")
        return self._put(uri, BytesBody(content))

    def _put(self, uri: DataUri, content: RequestBody) -> Entry:
        retries: Tries | None = None
        if not self._is_plain(uri):
            self.exists(uri)  # which tells if the platform takes it for another file that is there
        try:
            while True:
                response = self._request("PUT", uri, headers=BYTES, content=content)
                try:
                    self._confirm(response)
                    checksum = stored_checksum(uri, response.headers, response.content)
                    return Entry(uri, Kind.FILE, content.size, checksum=checksum, version=response.headers.get("ETag"))
                except NetworkError as error:  # the answer broke off: what it would have said is not known
                    if not content.rewind():
                        raise
                    retries = retries or Tries(self._retries)
                    retries.spend_on(error)
        except NetworkError:
            self._explain_break(uri)
            raise
        except (NotFoundError, RequestRefused) as error:
            self._explain_refusal(uri, error)
            raise

    def _explain_break(self, uri: DataUri) -> None:
        """Raise a better error than a broken connection, if there is one.

        A platform that refuses a large file may close the connection before its reason gets through.
        """
        try:
            self.stat(uri.parent)
        except NotFoundError as error:
            self._explain_refusal(uri, error)
            raise
        except AlgoError:
            return

    def _explain_refusal(self, uri: DataUri, error: AlgoError) -> None:
        """Improve the error for a missing collection: name it, and the command that makes it."""
        if self.has_folders or error.hint or (path := components(uri))[0] in SPECIAL:
            return
        if len(path) > FILE_DEPTH:
            collection = "/".join(path[:COLLECTION_DEPTH])
            error.hint = f"data://{collection} holds files only: data://{collection}/{path[-1]}"
        elif len(path) == FILE_DEPTH:
            if isinstance(error, NotFoundError):
                error.hint = f"Check that the directory exists. {how_to_make(uri.parent)}"
        elif len(path) == COLLECTION_DEPTH and COLLECTION.fullmatch(path[1]):
            if isinstance(error, NotFoundError):
                error.message = f"Directory {uri} does not exist"
            error.hint = f"To make the directory: algo mkdir {pasted(uri)}"
        else:
            error.hint = "Files go into a collection: data://.my/COLLECTION/FILE"

    def mkdir(self, uri: DataUri) -> None:
        """One POST to the directory above (API section 4.5)."""
        if not self._path(uri):
            raise AlreadyExists(f"{uri} always exists")
        try:
            self._request("POST", uri.parent, json={"name": uri.name}, confirms=True).close()
        except AlreadyExists:
            raise
        except RequestRefused as error:  # which some installations say instead of 409
            if self._is_there(uri):
                raise AlreadyExists(f"{uri} exists already") from error
            error.hint = error.hint or how_to_name(uri)
            raise

    def _is_there(self, uri: DataUri) -> bool:
        try:
            return self.stat(uri).is_directory
        except AlgoError:
            return False

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """One HEAD, because a DELETE would also remove a file, and one DELETE (API section 4.7)."""
        entry = self.stat(uri)
        if not entry.is_directory:
            raise NotADirectory(f"{uri} is a file", f"Remove it with: algo rm {pasted(uri)}", entry=entry)
        if not self._path(uri):
            raise RequestRefused(f"{uri} cannot be removed")
        try:
            with self._request("DELETE", uri, query={"force": "true" if force else None}) as response:
                return _deleted(response)
        except RequestRefused as error:
            if not force:
                error.hint = error.hint or f"To remove it with its files: algo rmdir -f {pasted(uri)}"
            raise

    def remove(self, uri: DataUri) -> None:
        """One DELETE, after a HEAD where a directory could stand, which it would remove as well if it is empty."""
        self._check_file(uri)
        wanted = {"type": "file"} if uri.names_directory else None
        if not self._can_only_be_file(uri):
            with self._request("HEAD", uri, query=wanted) as response:
                if entry_of(uri, response.headers).is_directory:
                    raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {pasted(uri)}")
                _check_taken(uri, response)
        try:
            self._request("DELETE", uri, query=wanted).close()
        except NotFoundError as error:
            if not error.after_lost_answer:  # else the first request has removed it
                raise

    def _can_only_be_file(self, uri: DataUri) -> bool:
        if self.has_folders:
            return False
        path = components(uri)
        return len(path) == FILE_DEPTH and path[0] not in SPECIAL

    def _path(self, uri: DataUri) -> str:
        """A path as the platform interprets it: empty components of hosted data are ignored."""
        return uri.path if self.has_folders else "/".join(components(uri))

    def can_fork(self) -> bool:
        """Whether the direct transport is used, so that nothing of a plugin is shared."""
        return self._api.is_direct

    def after_fork(self) -> None:
        """Use new connections in this process (`ForkSafe`)."""
        self._retries = 0
        self._api.client.after_fork()
        self._pipelines = Pipelines(self._api)

    def take_observed(self) -> builtins.list[tuple[Any, ...]]:
        """The requests of this process (`ObservedStorage`)."""
        return [tuple(event) for event in self._api.client.take_observed()]

    def pass_observed(self, happened: builtins.list[tuple[Any, ...]]) -> None:
        """Tell of the requests of another process (`ObservedStorage`)."""
        if observe := self._api.client.observe:
            from algo_core.events import RequestEnded

            for event in happened:
                observe(RequestEnded(*event))

    def can_hold_directories(self, uri: DataUri) -> bool:
        """Everywhere behind a connector; of hosted data only the owner, whose collections these are."""
        return self.has_folders or len(components(uri)) < COLLECTION_DEPTH

    def can_hold_files(self, uri: DataUri) -> bool:
        """Everywhere behind a connector; of hosted data only collections, not the owner, and what is always there."""
        if self.has_folders:
            return True
        path = components(uri)
        return len(path) >= COLLECTION_DEPTH or path[:1] == [SESSION]

    def is_same(self, one: DataUri, other: DataUri) -> bool:
        """The same path, `.my` and the caller's name being one."""
        if self.has_folders:
            return super().is_same(one, other)
        first, second = components(one), components(other)
        if first == second or not (first and second) or first[1:] != second[1:]:
            return first == second
        names = {first[0], second[0]}
        return MY in names and names == {MY, self._api.username()}

    def _request(
        self,
        method: str,
        uri: DataUri,
        *,
        query: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str] | None = None,
        content: RequestBody | None = None,
        json: Any = None,
        confirms: bool = False,
    ) -> Response:
        """Send a request for a path, maybe with a JSON body; with `confirms` what the answer holds must be the API's.

        Raises:
            PlatformError: if a modifying request was answered by something other than the platform.
        """
        if json is not None:
            content = BytesBody(dumps(json).encode("utf-8"))
            headers = {"Content-Type": "application/json", **(headers or {})}
        try:
            response = self._api.request(method, api_path(uri), query=query, headers=headers, body=content)
        except NotFoundError as error:
            error.hint = error.hint or where_it_may_be(uri, error.message)
            raise
        if self.has_folders and is_only_key(uri.path.removesuffix("/")) and uri.path:
            _check_taken(uri, response)
        if confirms:
            self._confirm(response)
        return response

    def _confirm(self, response: Response) -> None:
        from algo_core.http.api import decode_json

        with response:
            if response.content.strip():
                decode_json(response, self._api.profile)


def _check_taken(uri: DataUri, reply: Response) -> None:
    """Raises PlatformError if a path that only a key can have may have been normalized on the way."""
    if not is_taken_as_written(uri, reply.headers):
        reply.close()
        raise PlatformError(
            f"This platform confuses {uri} with another path",
            f"Reach it from this machine: direct = true in [connectors.{uri.connector}] of config.toml",
        )


def _deleted(response: Response) -> int:
    """The number of files removed by a DELETE; 0 if the platform does not say."""
    try:
        return int(response.json()["result"]["deleted"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return 0
