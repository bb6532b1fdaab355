"""The builds of an algorithm (API section 6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing
from algo_local.web.algorithm_objects import described_build
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.algorithms.builds import BuildRecord
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET .../builds`, newest first."""
    from algo_local.algorithms.builds import builds_of

    found = builds_of(context.platform.database, context.algorithm)
    return page(context, [described_build(build) for build in found])


def show(context: RequestContext) -> dict[str, Any]:
    """`GET .../builds/ID`."""
    return described_build(_wanted(context))


def logs(context: RequestContext) -> dict[str, Any]:
    """`GET .../builds/ID/logs`: there are none before a build has finished."""
    build = _wanted(context)
    if build.finished_at is None:
        raise Missing("The build has not finished yet", ErrorCode.ALGORITHM_BUILD_LOGS_NOT_FOUND)
    return {"logs": build.log}


def _wanted(context: RequestContext) -> BuildRecord:
    from algo_local.algorithms.builds import builds_of

    wanted = context.parameters["buildid"]
    for build in builds_of(context.platform.database, context.algorithm):
        if build.id == wanted:
            return build
    raise Missing(f"No build {wanted[:100]}", ErrorCode.ALGORITHM_BUILD_NOT_FOUND)
