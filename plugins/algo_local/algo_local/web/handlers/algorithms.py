"""Algorithms and their versions (API section 6)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.algorithms.visibility import visible_algorithms, visible_versions
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Forbidden, Missing
from algo_local.web.algorithm_objects import described, summary
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Version
    from algo_local.web.authorization import RequestContext

LEGACY_LANGUAGES = ("java", "javascript", "python2-langpack", "python3-1", "r", "ruby", "rust", "scala")
"""Languages of before there were environments (API section 5.2)."""


def search(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/algorithms`: those that the caller may see; `q` looks for words in names and texts."""
    query = context.request.query
    owner = context.platform.metadata.account(query["owner"]) or "" if query.get("owner") else None
    words = query.get("q", "").lower().split()
    tag = query.get("tag", "").lower()
    found = [
        algorithm
        for algorithm in visible_algorithms(context.platform.registry, context.caller, owner)
        if all(word in _text(algorithm) for word in words) and (not tag or tag in map(str.lower, algorithm.tags))
    ]
    answer = page(context, found)
    return {**answer, "results": [_newest(context, algorithm) for algorithm in answer["results"]]}


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/algorithms/OWNER/NAME`."""
    newest = _newest_version(context, context.algorithm)
    return {**described(context, context.algorithm, newest), **_schemas(newest)}


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/algorithms/OWNER`."""
    from algo_local.algorithms.lifecycle import create
    from algo_local.web.algorithm_requests import description, source_in
    from algo_local.web.bodies import read_body

    body = read_body(context)
    place = source_in(context, body)
    made = create(context.platform.registry, context.account, body["name"], description(body), place)
    return described(context, made)


def update(context: RequestContext) -> dict[str, Any]:
    """`PUT /v1/algorithms/OWNER/NAME`: what is left out, or empty, stays."""
    from algo_local.algorithms.lifecycle import update
    from algo_local.web.algorithm_requests import description
    from algo_local.web.bodies import read_body

    changed = update(context.platform.registry, context.algorithm, description(read_body(context, form=True)))
    return _newest(context, changed)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/algorithms/OWNER/NAME`: what is public is deleted by administrators only."""
    if context.platform.registry.is_public(context.algorithm) and not context.caller.administrator:
        name = f"{context.algorithm.owner}/{context.algorithm.name}"
        message = f"{name} has public versions: unpublish them first, or have an administrator delete it"
        raise Forbidden(message, ErrorCode.NOT_AUTHORIZED)
    from algo_local.retirement import delete_algorithm

    delete_algorithm(context.platform, context.algorithm, by=context.caller.account)


def versions(context: RequestContext) -> dict[str, Any]:
    """`GET .../versions`. All are published and can be called, so that `published` and `callable` leave none out."""
    found = visible_versions(context.platform.registry, context.caller, context.algorithm)
    return page(context, [described(context, context.algorithm, version) for version in found])


def version(context: RequestContext) -> dict[str, Any]:
    """`GET .../versions/HASH`, or its number in the place of the hash."""
    wanted = _wanted(context)[0]
    return {**described(context, context.algorithm, wanted), **_schemas(wanted)}


def unpublish(context: RequestContext) -> None:
    """`DELETE .../versions/HASH`, or its number in the place of the hash."""
    from algo_local.retirement import unpublish

    unpublish(context.platform, _wanted(context), by=context.caller.account)


def of_account(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/users/USER/algorithms`, `GET /v1/organizations/ORG/utility-algorithms`."""
    found = visible_algorithms(context.platform.registry, context.caller, context.account)
    return [summary(algorithm) for algorithm in found]


def legacy(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/admin/legacy-algorithms`."""
    from algo_local.times import iso

    return {
        "results": [
            {**summary(found), "language": found.language, "createdAt": iso(found.created_at)}
            for found in context.platform.registry.algorithms()
            if found.language in LEGACY_LANGUAGES and not found.algorithm_environment
        ]
    }


def _newest(context: RequestContext, algorithm: Algorithm) -> dict[str, Any]:
    """An algorithm object: of the newest public version, else of the newest version visible to the caller."""
    return described(context, algorithm, _newest_version(context, algorithm))


def _newest_version(context: RequestContext, algorithm: Algorithm) -> Version | None:
    found = visible_versions(context.platform.registry, context.caller, algorithm)
    newest = next((version for version in found if version.public), found[0] if found else None)
    if newest:
        with contextlib.suppress(AlgoError):  # its page is shown without what is in its files
            context.platform.with_files(newest.build)
    return newest


def _schemas(version: Version | None) -> dict[str, Any]:
    """The schemas of a version, if it has any."""
    from algo_local.algorithms.schemas.algorithm_schemas import schemas_of

    found = schemas_of(version.build).described() if version else {}
    return {"schemas": found} if found else {}


def _wanted(context: RequestContext) -> list[Version]:
    """The versions that the path selects, newest first."""
    wanted = context.parameters["algohash"]
    found = visible_versions(context.platform.registry, context.caller, context.algorithm)
    matching = [version for version in found if wanted in {version.build.commit, version.text, version.id}]
    if not matching:
        raise Missing(f"No version {wanted[:100]}", ErrorCode.VERSION_DOES_NOT_EXIST)
    return matching


def _text(algorithm: Algorithm) -> str:
    words = (algorithm.owner, algorithm.name, algorithm.label, algorithm.summary, algorithm.tagline, *algorithm.tags)
    return " ".join(words).lower()
