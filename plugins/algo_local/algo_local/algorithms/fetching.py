"""Fetches branches and tags from other hosts over git's smart HTTP protocol (API section 6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid

if TYPE_CHECKING:
    from dulwich.client import HttpGitClient
    from dulwich.repo import Repo

    from algo_local.metadata.scms import Source

SECONDS = 60.0
"""How long a host may be silent."""


def fetch(repository: Repo, source: Source) -> None:
    """Make branches, tags and `HEAD` those of another repository. Invalid if that fails."""
    from dulwich.refs import HEADREF, Ref

    try:
        client, path = _client(source)
        found = client.fetch(path, repository)
    except Exception as error:  # any failure of git, HTTP or the network is reported as the host's
        raise _refusal(source, error) from None
    kept = {name: sha for name, sha in found.refs.items() if sha and name.startswith((b"refs/heads/", b"refs/tags/"))}
    for name, sha in kept.items():
        repository.refs[name] = sha
    for name in repository.refs.allkeys():
        if name not in kept and name.startswith((b"refs/heads/", b"refs/tags/")):
            repository.refs.remove_if_equals(name, None)
    head = found.symrefs.get(HEADREF) or next(
        (Ref(name) for name in (b"refs/heads/main", b"refs/heads/master", *sorted(kept)) if name in kept), None
    )
    if head:
        repository.refs.set_symbolic_ref(HEADREF, head)


def check(source: Source) -> None:
    """Check that a repository can be reached. Raises Invalid."""
    try:
        client, path = _client(source)
        client.get_refs(path.encode())
    except Exception as error:
        raise _refusal(source, error) from None


def _client(source: Source) -> tuple[HttpGitClient, str]:
    from dulwich.client import HttpGitClient

    place = urlsplit(source.address)
    client = HttpGitClient(
        f"{place.scheme}://{place.netloc}",
        username=source.username or None,
        password=source.password or None,
        timeout=SECONDS,
    )
    return client, place.path


def _refusal(source: Source, error: Exception) -> Invalid:
    from dulwich.client import HTTPUnauthorized

    if isinstance(error, HTTPUnauthorized):
        message = f"{source.address} wants other credentials: connect the account to the source host"
        return Invalid(message, ErrorCode.SCM_NOT_AUTHENTICATED)
    return Invalid(f"Cannot fetch from {source.address}: {error}", ErrorCode.SCM_CONNECTION_ERROR)
