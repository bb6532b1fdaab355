"""The sources of an algorithm, in the platform's own repository of it (API sections 6.1, 6.5)."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from algo_local.algorithms.visibility import reads_source, visible_versions
from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Forbidden, Missing
from algo_local.web.http import BLOCK, ApiError, FileBody, Response

if TYPE_CHECKING:
    from dulwich.objects import Commit

    from algo_local.web.authorization import RequestContext


def log(context: RequestContext) -> dict[str, Any]:
    """`GET .../log`, newest first."""
    _check_reader(context)
    query = context.request.query
    found = context.platform.repositories.log(context.algorithm, query.get("since", ""), query.get("until", ""))
    return {"commits": [_described(commit) for commit in found]}


def upload(context: RequestContext) -> dict[str, Any]:
    """`PUT .../source`: what does not differ from the newest commit makes no new one."""
    from algo_local.algorithms.source_trees.archives import ARCHIVE_BYTES, archive_entries

    platform, algorithm = context.platform, context.algorithm
    with tempfile.TemporaryFile() as archive:
        size = 0
        while block := context.request.read(BLOCK):
            size += len(block)
            if size > ARCHIVE_BYTES:
                message = f"The archive is larger than {ARCHIVE_BYTES >> 20} MiB; large models belong in hosted data"
                raise ApiError(413, message, ErrorCode.INVALID_REQUEST)
            archive.write(block)
        if context.request.length is not None and size < context.request.length:
            raise ApiError(400, "The archive is incomplete", ErrorCode.INVALID_REQUEST)
        entries = archive_entries(archive)
    message = context.request.query.get("message", "").strip() or "Upload of an archive"
    commit = platform.repositories.commit(algorithm, entries, context.caller.account, message[:10_000])
    return _described(platform.repositories.log(algorithm, commit, commit)[0])


def download(context: RequestContext) -> Response:
    """`GET .../source`: a gzip-compressed tar with the files of a commit, or of a build by its hash."""
    import tarfile

    _check_reader(context)
    repositories, algorithm = context.platform.repositories, context.algorithm
    commit = context.request.query.get("commit", "") or repositories.newest(algorithm)
    built = context.platform.registry.build(algorithm, commit)
    # What was published from a directory is in no repository.
    found = (
        nullcontext(context.platform.with_files(built.build).source)
        if built
        else repositories.checkout(algorithm, commit)
    )
    with found as directory:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - handed to the response
        with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            archive.add(directory, arcname=algorithm.name, filter=_anonymous)
    size = file.tell()
    file.seek(0)
    return Response(200, FileBody(file, size), {"Content-Type": "application/gzip", "X-Commit": commit}, size)


def readme(context: RequestContext) -> dict[str, str]:
    """`GET .../readme`: a file of the newest version that the caller may see."""
    from algo_local.algorithms.source_trees.sources import read_readme

    found = visible_versions(context.platform.registry, context.caller, context.algorithm)
    newest = next((version for version in found if version.public), found[0] if found else None)
    text = read_readme(context.platform.with_files(newest.build).source) if newest else None
    if text is None:
        raise Missing("The algorithm has no README", ErrorCode.INVALID_REQUEST)
    return {"name": text[0], "content": text[1]}


def _check_reader(context: RequestContext) -> None:
    """Raise Forbidden for those who do not own an algorithm whose source is closed."""
    if not reads_source(context.caller, context.algorithm):
        raise Forbidden(f"{DENIED}: its source is closed", ErrorCode.NOT_AUTHORIZED)


def _anonymous(member: Any) -> Any:
    if member.name.endswith("/__pycache__"):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _described(commit: Commit) -> dict[str, Any]:
    message = commit.message.decode("utf-8", "replace").rstrip("\n")
    return {
        "id": commit.id.decode(),
        "short_message": message.partition("\n")[0],
        "message": message,
        "author": commit.author.decode("utf-8", "replace"),
    }
