"""Git over smart HTTP: `/git/OWNER/NAME.git`, the repositories of algorithms (API section 6.5).

The password is an API key; the user name is ignored. Callers who see an algorithm with open source may fetch it; its
owners may fetch and push. A push to the default branch starts a build.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from algo_local.algorithms.source_trees.archives import ARCHIVE_BYTES
from algo_local.error_codes import ErrorCode
from algo_local.web.authorization import RequestContext, authorize
from algo_local.web.http import BLOCK, ApiError, FileBody, Request, Response, decode
from algo_local.web.operations import MEMBER, VIEW, Operation
from algo_local.web.routing import Route

if TYPE_CHECKING:
    from dulwich.repo import Repo

    from algo_local.algorithms.registry import Algorithm
    from algo_local.platform import Platform

PREFIX = "/git/"
_PATH = re.compile(r"/git/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="git"'}


def answer(platform: Platform, request: Request, *, trusted: bool, address: str) -> Response:
    """The response to a request below `/git`. ApiError for what git does not ask, or this caller may not."""
    match = _PATH.fullmatch(request.path)
    service = request.query.get("service", "") if match and match[3] == "info/refs" else match[3] if match else ""
    if not match or service not in _SERVICES:
        raise ApiError(404, "Not an address of git's smart HTTP protocol", ErrorCode.INVALID_REQUEST)
    is_question = match[3] == "info/refs"
    context = _authorized(platform, request, match, service, is_question, trusted=trusted, address=address)
    with tempfile.TemporaryFile() as empty, _given(request, empty, is_question) as given:
        made = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - handed to the response
        try:
            _serve(context, service, given, made, is_question=is_question)
        except BaseException:
            made.close()
            raise
    size = made.tell()
    made.seek(0)
    kind = "advertisement" if is_question else "result"
    headers = {"Content-Type": f"application/x-{service}-{kind}", "Cache-Control": "no-cache"}
    return Response(200, FileBody(made, size), headers, size)


def _authorized(
    platform: Platform,
    request: Request,
    match: re.Match[str],
    service: str,
    is_question: bool,
    *,
    trusted: bool,
    address: str,
) -> RequestContext:
    owner, name = decode(match[1]), decode(match[2])
    algorithm = platform.registry.algorithm(owner, name)
    is_open = service == "git-upload-pack" and algorithm is not None and algorithm.source_visibility == "open"
    method = "GET" if is_question else "POST"
    operation = Operation(method, "git/{algorithm}", service, VIEW if is_open else MEMBER, "", "")
    request.headers = {**request.headers, "authorization": _credential(request.header("Authorization"))}
    route = Route({method: operation}, {"algorithm": f"{owner}/{name}".lower()})
    try:
        return authorize(platform, request, route, trusted=trusted, address=address)
    except ApiError as error:
        if error.status == 401:
            error.headers.update(_CHALLENGE)
        raise


def _credential(header: str) -> str:
    """The key in a basic authentication header as the platform's own header; other headers unchanged."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return header
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return f"Simple {password or user}"


@contextmanager
def _given(request: Request, file: BinaryIO, is_question: bool) -> Iterator[BinaryIO]:
    """The body of a git request as a file. ApiError 413 if it is too large."""
    if not is_question:
        unpack = zlib.decompressobj(31).decompress if request.header("Content-Encoding") == "gzip" else _as_it_is
        size = 0
        while block := request.read(BLOCK):
            try:
                content = unpack(block, ARCHIVE_BYTES - size + 1)
            except zlib.error as error:
                raise ApiError(
                    400, f"The body is not compressed with gzip: {error}", ErrorCode.INVALID_REQUEST
                ) from None
            size += len(content)
            if size > ARCHIVE_BYTES:
                message = f"More than {ARCHIVE_BYTES >> 20} MiB at once; large models belong in hosted data"
                raise ApiError(413, message, ErrorCode.INVALID_REQUEST)
            file.write(content)
        file.seek(0)
    yield file


def _as_it_is(block: bytes, most: int) -> bytes:
    return block


def _serve(context: RequestContext, service: str, given: BinaryIO, made: io.FileIO, *, is_question: bool) -> None:
    repositories, algorithm = context.platform.repositories, context.algorithm
    if service == "git-upload-pack":
        with repositories.open(algorithm) as repository:
            _handle(repository, service, given, made, is_question=is_question)
        return
    context.platform.check_writable()
    if repositories.origin(algorithm):
        message = "The sources of this algorithm are on another host: push there"
        raise ApiError(403, message, ErrorCode.ONLY_INTERNAL_SCM_MAY_MODIFY_CODE)
    if is_question:
        with repositories.open(algorithm) as repository:
            _handle(repository, service, given, made, is_question=True)
        return

    asked: set[str] = set()

    def wanted(commit: str) -> None:
        asked.add(commit)
        context.platform.builds.request(algorithm, commit)

    def receive(repository: Repo) -> str:
        received = _Received(algorithm, repository)
        repository.hooks.clear()
        repository.hooks["update"] = _Update(repository, wanted)  # type: ignore[assignment]  # it does what theirs do
        repository.hooks["post-receive"] = received  # type: ignore[assignment]
        given.seek(0)
        made.seek(0)
        made.truncate()
        _handle(repository, service, given, made, is_question=False)
        return received.commit

    try:
        if commit := repositories.change(algorithm, receive):
            context.platform.builds.request(algorithm, commit)  # who looked meanwhile has found no such commit
    finally:
        if asked:
            context.platform.pending_builds.start(algorithm)


def _handle(repository: Repo, service: str, given: BinaryIO, made: io.FileIO, *, is_question: bool) -> None:
    """Have dulwich answer a request on a repository. ApiError if it is none."""
    from dulwich.errors import GitProtocolError, ObjectFormatException
    from dulwich.protocol import ReceivableProtocol
    from dulwich.server import BackendRepo, DictBackend, ReceivePackHandler, UploadPackHandler

    kind = ReceivePackHandler if service == "git-receive-pack" else UploadPackHandler
    protocol = ReceivableProtocol(given.read, made.write)
    only: dict[str, BackendRepo] = {"/": repository}
    handler: Any = kind(DictBackend(only), ["/"], protocol, stateless_rpc=True, advertise_refs=is_question)
    if is_question:
        protocol.write_pkt_line(f"# service={service}\n".encode())
        protocol.write_pkt_line(None)
    try:
        handler.handle()
    except (GitProtocolError, ObjectFormatException, AssertionError, KeyError, ValueError) as error:
        raise ApiError(400, f"Not a valid git request: {error}", ErrorCode.INVALID_REQUEST) from None


class _Update:
    """Hook that refuses changes of branches and tags by which built commits would become unreachable.

    `before` is called with a new commit of the default branch before that is changed: if this process ends then,
    another one builds what had been pushed.
    """

    def __init__(self, repository: Repo, before: Callable[[str], None]) -> None:
        self._repository = repository
        self._before = before

    def execute(self, name: bytes, old: bytes, new: bytes) -> tuple[bytes, bytes]:
        """Raise HookError, with the reason, for a change that is refused."""
        from dulwich.errors import HookError
        from dulwich.refs import HEADREF

        if reason := self._refused(name, old, new):
            raise HookError(reason)
        if name == self._repository.refs.follow(HEADREF)[0][-1]:
            self._before(new.decode())
        return b"", b""

    def _refused(self, name: Any, old: Any, new: Any) -> str:
        from dulwich.graph import can_fast_forward
        from dulwich.objects import Commit
        from dulwich.refs import HEADREF

        repository = self._repository
        is_new, is_gone = not old.strip(b"0"), not new.strip(b"0")
        known = repository.refs[name] if name in repository.refs else None  # noqa: SIM401 - these have no get
        if (None if is_new else old) != known:
            return "somebody else has changed it meanwhile: fetch first"
        if not name.startswith((b"refs/heads/", b"refs/tags/")):
            return "only branches and tags are kept"
        if is_gone:
            is_head = name in repository.refs.follow(HEADREF)[0]
            return "the default branch cannot be deleted" if is_head else ""
        if name.startswith(b"refs/heads/"):
            if not isinstance(repository.object_store[new], Commit):
                return "a branch is of commits"
            if not is_new and not can_fast_forward(repository, old, new):
                return "history cannot be rewritten: merge, then push again"
        return ""


class _Received:
    """Hook that notes a new commit of the default branch, which is built when the push has taken effect."""

    def __init__(self, algorithm: Algorithm, repository: Repo) -> None:
        self._algorithm = algorithm
        self._repository = repository
        self.commit = ""
        """The commit, or nothing."""

    def execute(self, changed: list[tuple[bytes, bytes, bytes]]) -> bytes:
        """Messages to the user who pushes."""
        from dulwich.refs import HEADREF

        branch = self._repository.refs.follow(HEADREF)[0][-1]
        self.commit = next((new.decode() for _, new, name in changed if name == branch), "")
        if not self.commit:
            return b""
        name = f"{self._algorithm.owner}/{self._algorithm.name}"
        return (
            f"Building {name} {self.commit[:12]}; its log is shown by:\n  algo builds logs {name} --follow\n"
        ).encode()
