"""Dropbox, through its official SDK.

The package that makes a file system of it for fsspec (dropboxdrivefs) takes errors for empty answers, gives other names
to files that exist, and cannot read ranges: this storage uses the SDK below it instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timezone
from functools import cached_property
from typing import Any

from algo_connectors.common.errors import Unsatisfiable, error_of, store_errors
from algo_connectors.common.links import check_lifetime
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.remote import VersionedStorage, components, directory, not_empty
from algo_connectors.common.writing import Condition, Upload
from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    ConfigError,
    NotFoundError,
    PermissionDenied,
    RequestRefused,
)
from algo_core.storage.capabilities import Link
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory
from algo_core.storage.uri import DataUri, pasted

LONGEST = 4 * 3600
"""Seconds for which a link is valid; one for an upload can be valid for a shorter time."""

SHORTEST = 60
"""Seconds for which a link for an upload is valid at least."""

TIMEOUT = 60.0
"""Time limit in seconds for each response."""


def open_dropbox(options: ConnectorOptions) -> DropboxStorage:
    """The storage for `dropbox://`.

    Options: `access_token` (or `token`), or `refresh_token` with `app_key` and, for apps that have one, `app_secret`;
    `endpoint_url` for a gateway that stands in for api.dropboxapi.com and content.dropboxapi.com.
    """
    options.rename("token", "access_token")
    given = {name: options.take(name) for name in ("access_token", "refresh_token", "app_key", "app_secret")}
    address = options.take("endpoint_url")
    options.refuse_rest()
    import dropbox  # noqa: F401 - a missing package is reported when the storage is opened, as with the others

    if not given["access_token"] and not given["refresh_token"]:
        raise ConfigError(
            "dropbox:// needs a token", "Set access_token, or refresh_token and app_key, in [connectors.dropbox]"
        )
    if given["refresh_token"] and not given["app_key"]:
        given.pop("refresh_token")  # which is worth nothing without the app that it was given to
    return DropboxStorage(given, address)


class DropboxStorage(VersionedStorage):
    """Files and folders of an account or of an app's folder. A file's version is its revision."""

    needs_directories = False

    def __init__(self, credential: dict[str, Any], address: str | None = None) -> None:
        self._credential = credential
        self._address = address

    @cached_property
    def _client(self) -> Any:
        import dropbox

        session = dropbox.create_session(max_connections=16)
        if self._address:
            session.mount("https://", _gateway(self._address.rstrip("/")))
        names = {"access_token": "oauth2_access_token", "refresh_token": "oauth2_refresh_token"}
        credential = {names.get(name, name): value for name, value in self._credential.items()}
        return dropbox.Dropbox(
            **credential, session=session, timeout=TIMEOUT, max_retries_on_error=4, max_retries_on_rate_limit=8
        )

    def call(self, uri: DataUri, route: str, *arguments: Any, **options: Any) -> Any:
        """One request; exceptions of the SDK are translated into this project's errors."""
        with store_errors(uri):
            try:
                return getattr(self._client, route)(*arguments, **options)
            except Exception as error:
                raise _error(uri, error) from error

    def stat(self, uri: DataUri) -> Entry:
        """get_metadata; none for the root, which it does not know."""
        if not components(uri):
            return directory(uri)
        entry = _entry(uri, self.call(uri, "files_get_metadata", _path(uri)))
        if uri.path.endswith("/") and not entry.is_directory:
            raise NotADirectory(f"{uri} is a file", entry=entry)
        return entry

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """list_folder, a page at a time; folders before files within each."""
        for page in self._pages(uri):
            entries = [_entry(uri.child(found.name), found) for found in page]
            yield from sorted(entries, key=lambda entry: not entry.is_directory)

    def _pages(self, uri: DataUri, *, deep: bool = False) -> Iterator[Sequence[Any]]:
        answer = self.call(uri, "files_list_folder", _path(uri), recursive=deep, limit=1000)
        while True:
            yield answer.entries
            if not answer.has_more:
                return
            answer = self.call(uri, "files_list_folder_continue", answer.cursor)

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        """download of a range; the answer says which revision it is from."""
        try:
            found, answer = self.call(
                uri, "files_download", _path(uri), extra_headers={"Range": f"bytes={start}-{stop - 1}"}
            )
        except RequestRefused as error:
            if isinstance(error.__cause__, Exception) and getattr(error.__cause__, "status_code", None) == 416:
                raise Unsatisfiable(f"{uri} ends before byte {start}") from None
            raise
        with answer, store_errors(uri):
            content: bytes = answer.content
        if answer.status_code != 206:  # the range was ignored
            content = content[start:stop]
        return _entry(uri, found), content

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """upload."""
        return _entry(uri, self.call(uri, "files_upload", content, _path(uri), **_mode(condition)))

    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """An upload session."""
        return _Session(self, uri, condition)

    def mkdir(self, uri: DataUri) -> None:
        """create_folder."""
        if not components(uri):
            raise AlreadyExists(f"{uri} always exists")
        self.call(uri, "files_create_folder_v2", _path(uri))

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """list_folder to see what is in it, and delete."""
        if not components(uri):
            raise RequestRefused(f"{uri} is not removed", "Name the directory itself")
        if not self.stat(uri).is_directory:
            raise NotADirectory(f"{uri} is a file", f"Remove it with: algo rm {pasted(uri)}")
        inside = (found for page in self._pages(uri, deep=True) for found in page)
        below = (found for found in inside if (found.path_lower or "") != _path(uri).lower())
        if not force and next(below, None):
            raise not_empty(uri)
        count = sum(hasattr(found, "rev") for found in below)
        self.call(uri, "files_delete_v2", _path(uri))
        return count

    def remove(self, uri: DataUri) -> None:
        """get_metadata, since delete takes folders as well, and delete."""
        if uri.names_directory or self.stat(uri).is_directory:
            raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {pasted(uri)}")
        self.call(uri, "files_delete_v2", _path(uri))

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """get_temporary_link, which is always valid for 4 hours, or get_temporary_upload_link (`SharingStorage`)."""
        check_lifetime(uri, seconds, LONGEST)
        if writes:
            from dropbox.files import CommitInfo

            self.check_file(uri)
            commit, lasting = CommitInfo(_path(uri), **_mode(None)), max(seconds, SHORTEST)
            found = self.call(uri, "files_get_temporary_upload_link", commit, lasting)
            headers = {"Content-Type": "application/octet-stream"}
            return Link("POST", found.link, headers, None if lasting == seconds else lasting)
        if self.stat(uri).is_directory:
            raise _folder(uri)
        found = self.call(uri, "files_get_temporary_link", _path(uri))
        return Link("GET", found.link, seconds=None if seconds == LONGEST else LONGEST)

    def is_same(self, one: DataUri, other: DataUri) -> bool:
        """The same path, upper and lower case being one."""
        return _path(one).lower() == _path(other).lower()


class _Session(Upload):
    """An upload session: parts in order. An unfinished one is invisible, and Dropbox discards it."""

    parallel = False

    def __init__(self, storage: DropboxStorage, uri: DataUri, condition: Condition | None = None) -> None:
        self._storage = storage
        self._condition = condition
        self._uri = uri
        self._id: str = storage.call(uri, "files_upload_session_start", b"").session_id

    def part(self, number: int, offset: int, content: bytes) -> None:
        """append."""
        self._storage.call(self._uri, "files_upload_session_append_v2", content, self._cursor(offset))

    def finish(self, size: int) -> Entry:
        """finish, with the name."""
        from dropbox.files import CommitInfo

        commit = CommitInfo(_path(self._uri), **_mode(self._condition))
        found = self._storage.call(self._uri, "files_upload_session_finish", b"", self._cursor(size), commit)
        return _entry(self._uri, found)

    def _cursor(self, offset: int) -> Any:
        from dropbox.files import UploadSessionCursor

        return UploadSessionCursor(self._id, offset)

    def abort(self) -> None:
        pass


def _path(uri: DataUri) -> str:
    """A path in Dropbox's form: empty for the root, else with a leading slash."""
    return "".join(f"/{part}" for part in components(uri))


def _mode(condition: Condition | None) -> dict[str, Any]:
    """How an upload treats a file that is there; without `strict_conflict` one of the same content is no conflict."""
    from dropbox.files import WriteMode

    if condition is None:
        return {"mode": WriteMode.overwrite}
    mode = WriteMode.add if condition.version is None else WriteMode.update(condition.version)
    return {"mode": mode, "strict_conflict": True}


def _entry(uri: DataUri, found: Any) -> Entry:
    if not hasattr(found, "rev"):
        return directory(uri)
    modified = found.server_modified.replace(tzinfo=timezone.utc)
    return Entry(uri, Kind.FILE, size=found.size, modified=modified, version=found.rev)


def _error(uri: DataUri, error: Exception) -> AlgoError:
    """The error for a route's response, by the tags of its union."""
    from dropbox.exceptions import ApiError, AuthError, BadInputError
    from dropbox.files import UploadError, UploadSessionFinishError

    if isinstance(error, AuthError):
        return _of_status(uri, 401, error)
    if isinstance(error, BadInputError):
        return RequestRefused(f"{uri}: {error.message}")
    if not isinstance(error, ApiError):
        return error_of(uri, error)
    tags = list(_tags(error.error))
    if "not_found" in tags:
        return NotFoundError(f"{uri} does not exist")
    if "conflict" in tags:
        is_upload = isinstance(error.error, (UploadError, UploadSessionFinishError))
        return _folder(uri) if is_upload and "folder" in tags else AlreadyExists(f"{uri} exists already")
    if "not_file" in tags:
        return _folder(uri)
    if "not_folder" in tags:
        return NotADirectory(f"{uri} is a file")
    if {"no_write_permission", "restricted_content", "access_denied"} & set(tags):
        return PermissionDenied(f"{uri}: Dropbox does not allow this ({', '.join(tags)})")
    return RequestRefused(f"{uri}: Dropbox refused this ({', '.join(tags)})")


def _folder(uri: DataUri) -> IsADirectory:
    return IsADirectory(f"{uri} is a directory")


def _of_status(uri: DataUri, status: int, error: Exception) -> AlgoError:
    from algo_connectors.common.errors import of_status

    return of_status(uri, status, ", ".join(_tags(getattr(error, "error", None))))


def _tags(union: Any) -> Iterator[str]:
    """The tags of an error from the outside to the inside."""
    while union is not None:
        if tag := getattr(union, "_tag", None):
            yield str(tag)
        union = (
            getattr(union, "reason", None) if not tag and hasattr(union, "reason") else getattr(union, "_value", None)
        )


def _gateway(address: str) -> Any:
    """An adapter that sends what is meant for Dropbox's hosts to another address."""
    from urllib.parse import urlsplit

    from requests.adapters import HTTPAdapter

    class Gateway(HTTPAdapter):
        def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
            request.url = f"{address}{urlsplit(request.url).path}"
            return super().send(request, *arguments, **options)

    return Gateway()
