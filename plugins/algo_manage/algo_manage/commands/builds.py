"""`algo builds list`, `show` and `logs` (API section 6.4)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage.uri import AlgorithmRef
from algo_manage import api
from algo_manage.completion import algorithm_argument, complete_build

Query = Mapping[str, "str | None"]

PAUSE = 1.0
"""Seconds between two looks at a build that runs."""


@click.command("list")
@algorithm_argument
@pass_app
def list_(app: App, algorithm: str) -> None:
    """List the builds of an algorithm, newest first.

    \b
    Example:
      algo builds list me/Greeter
    """
    ref = api.named(app, algorithm)
    with api.suggesting(app, ref):
        found = list(api.pages(app, api.path_of(ref, "builds")))
    if app.output.is_json:
        app.output.json(found)
    elif found:
        app.output.table(("Build", "Status", "Commit", "Started", "Version"), map(_row, found))
    else:
        app.output.info(f"{ref} has no builds yet; make one with: algo algorithms compile {ref}")


@click.command("show")
@algorithm_argument
@click.argument("build", metavar="BUILD", shell_complete=complete_build)
@pass_app
def show_(app: App, algorithm: str, build: str) -> None:
    """Show a build, given by its id or commit.

    \b
    Example:
      algo builds show me/Greeter 0c0d9a6f-52ab-4c51-9d39-0a6c2f0f4a34
    """
    ref = api.named(app, algorithm)
    found = _find(app, ref, build)
    if app.output.is_json:
        app.output.json(found)
        return
    for name in ("build_id", "status", "commit_sha", "started_at", "finished_at"):
        if value := api.member(found, name):
            app.output.line(f"{name.replace('_', ' ').capitalize() + ':':<16}{value}")
    if version := api.member(found, "version_info", "semantic_version"):
        app.output.line(f"{'Version:':<16}{version}")


@click.command("logs")
@algorithm_argument
@click.argument("build", metavar="[BUILD]", required=False, shell_complete=complete_build)
@click.option("-f", "--follow", is_flag=True, help="Print lines as they come until the build has ended.")
@click.option("--sudo", is_flag=True, help="Show builds of any account (administrators only).")
@pass_app
def logs_(app: App, algorithm: str, build: str | None, follow: bool, sudo: bool) -> None:
    """Print the log of a build; without BUILD, of the newest.

    With --follow the exit code is 1 if the build fails.

    \b
    Example:
      algo builds logs me/Greeter --follow
    """
    ref = api.named(app, algorithm)
    asked = {"sudo": "true" if sudo else None}
    found = _find(app, ref, build, asked)
    identifier = str(api.member(found, "build_id"))
    if app.output.is_json:
        if follow:
            found = _await(app, ref, identifier, asked)
        app.output.json({"build_id": identifier, "logs": _log(app, ref, identifier, asked)})
    else:
        shown = _print(app, _log(app, ref, identifier, asked), 0, is_whole=not _is_running(found))
        while follow and _is_running(found):
            time.sleep(PAUSE)
            found = _find(app, ref, identifier, asked)
            shown = _print(app, _log(app, ref, identifier, asked), shown, is_whole=not _is_running(found))
    if follow and api.member(found, "status") == "failed":
        raise AlgoError(
            f"Build {identifier} of {ref} failed", f"Correct the sources, then: algo algorithms compile {ref}"
        )


def _await(app: App, ref: AlgorithmRef, identifier: str, asked: Query) -> Any:
    while _is_running(found := _find(app, ref, identifier, asked)):
        time.sleep(PAUSE)
    return found


def _is_running(build: Any) -> bool:
    return bool(api.member(build, "status") == "in-progress")


def _print(app: App, log: str, shown: int, *, is_whole: bool) -> int:
    """Print what is new in a log, of one that grows whole lines only; how much of it has been printed then."""
    end = len(log) if is_whole else log.rfind("\n") + 1
    if text := log[shown:end]:
        app.output.lines(text.removesuffix("\n").split("\n"))
    return max(end, shown)


def _log(app: App, ref: AlgorithmRef, identifier: str, asked: Query) -> str:
    """A build's log; empty for a running build if the platform has only logs of finished ones."""
    try:
        answer = app.api.get_json(api.path_of(ref, f"builds/{identifier}/logs"), query={"partial": "true", **asked})
    except NotFoundError:
        return ""
    return str(api.member(answer, "logs"))


def _find(app: App, ref: AlgorithmRef, build: str | None, asked: Query | None = None) -> Any:
    """A build by its id or commit; the newest if none is named."""
    with api.suggesting(app, ref):
        for found in api.pages(app, api.path_of(ref, "builds"), asked):
            if build is None or build in {api.member(found, "build_id"), api.member(found, "commit_sha")}:
                return found
    if build is None:
        raise NotFoundError(f"{ref} has no builds yet", f"Make one with: algo algorithms compile {ref}")
    raise NotFoundError(f"{ref} has no build {build}", f"List its builds with: algo builds list {ref}")


def _row(build: Any) -> tuple[str, ...]:
    return (
        str(api.member(build, "build_id")),
        str(api.member(build, "status")),
        str(api.member(build, "commit_sha"))[:12],
        str(api.member(build, "started_at")),
        str(api.member(build, "version_info", "semantic_version")),
    )
