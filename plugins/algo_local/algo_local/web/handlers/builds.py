"""The builds of an algorithm (API section 6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing
from algo_local.web.algorithm_objects import compiled, described, described_build
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.algorithms.builds import BuildRecord
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET .../builds`, newest first."""
    return page(context, [described_build(build) for build in context.platform.builds.of(context.algorithm)])


def show(context: RequestContext) -> dict[str, Any]:
    """`GET .../builds/ID`."""
    return described_build(_wanted(context))


def logs(context: RequestContext) -> dict[str, Any]:
    """`GET .../builds/ID/logs`: none before a build has finished, unless `partial=true` asks for what there is."""
    build = _wanted(context)
    if build.finished_at is None and not context.request.flag("partial"):
        raise Missing("The build has not finished yet", ErrorCode.ALGORITHM_BUILD_LOGS_NOT_FOUND)
    return {"logs": build.log}


def compile_source(context: RequestContext) -> dict[str, Any]:
    """`POST .../compile`: the answer comes when the build has ended, and says how (API section 6.2)."""
    from algo_local.web.bodies import read_body

    commit = read_body(context).get("commitSha", "")
    # Without a key it is the platform's own person, in this person's own process.
    is_trusted = context.caller.key is None and context.caller.inside is None
    build = context.platform.compiler.compile(context.algorithm, commit, is_trusted=is_trusted)
    return compiled(context, context.algorithm, build)


def publish(context: RequestContext) -> dict[str, Any]:
    """`POST .../versions`: publish the build that succeeded last."""
    from algo_local.algorithms.publication import publish_build
    from algo_local.metadata.notifications import PUBLISHED
    from algo_local.web.algorithm_requests import description, publication
    from algo_local.web.bodies import read_body
    from algo_local.web.operations import Who

    body = read_body(context)
    wanted = publication(body)
    if newest := context.platform.registry.newest_build(context.algorithm):
        context.platform.with_files(newest.build)
    version = publish_build(
        context.platform.registry,
        context.algorithm,
        wanted,
        description(body),
        may_be_public=context.target.who >= Who.OWNER,
    )
    context.platform.tell_owners(PUBLISHED, version.algorithm, by=context.caller.account, version=version.text)
    return described(context, version.algorithm, version)


def _wanted(context: RequestContext) -> BuildRecord:
    wanted = context.parameters["buildid"]
    found = context.platform.builds.find(context.algorithm, wanted)
    if not found:
        raise Missing(f"No build {wanted[:100]}", ErrorCode.ALGORITHM_BUILD_NOT_FOUND)
    return found
