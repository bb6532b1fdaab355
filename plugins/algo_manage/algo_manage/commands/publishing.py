"""`algo algorithms create`, `update`, `delete`, `compile`, `publish` and `unpublish` (API section 6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, PermissionDenied, UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_core.terminal.options import Number, yes_option
from algo_manage import api
from algo_manage.commands.algorithms import describe
from algo_manage.commands.schedules import tell_of_dangling
from algo_manage.completion import algorithm_argument, complete_version
from algo_manage.confirmation import confirm
from algo_manage.placement import Amount, placement, resources_of

TAIL = 12
"""Lines of a failed build's log that are shown at once."""


def _described(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say something about an algorithm."""
    for option in reversed((
        click.option("--label", metavar="TEXT", help="Name for people."),
        click.option("--tagline", metavar="TEXT", help="Description in a line."),
        click.option("--summary", metavar="TEXT", help="Description in Markdown."),
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag (repeatable)."),
        click.option("--sample-input", metavar="JSON", help="Input to try the algorithm with."),
        click.option("--source-visibility", type=click.Choice(["open", "closed"]), help="Who may read the source."),
        click.option("--license", type=click.Choice(["apl", "apache2", "gpl3", "mit"]), help="License of the source."),
        click.option("--network-access", type=click.Choice(["full", "isolated"]), help="Network access."),
        click.option("--pipelining/--no-pipelining", default=None, help="Whether it may call other algorithms."),
        click.option("--min-workers", type=Number(0, 1000), help="Workers that its newest version keeps ready."),
        click.option("--max-workers", type=Number(0, 1000), help="Maximum workers of a version; 0 for no limit."),
        click.option("--cpus", type=Amount(), help="Processors that a worker takes of a node."),
        click.option("--gpus", type=Amount(), help="GPUs that a worker takes of a node."),
        click.option("--memory", metavar="SIZE", help="Memory that a worker takes of a node, such as 2G."),
        click.option("--resource", "resources", multiple=True, metavar="NAME=AMOUNT", callback=resources_of,
                     help="What else a worker takes of a node (repeatable; replaces all of them)."),
        click.option("--environment", metavar="ID", help="Environment, from: algo environment LANG."),
    )):  # fmt: skip
        function = option(function)
    return function


def _body(said: dict[str, Any], defaults: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parts of a request's body for the given options."""
    details = {name: said[name] for name in ("label", "tagline", "summary") if said[name] is not None}
    if said["tags"]:
        details["tags"] = list(said["tags"])
    settings = {
        "source_visibility": said["source_visibility"],
        "license": said["license"],
        "network_access": said["network_access"],
        "pipeline_enabled": said["pipelining"],
        "algorithm_environment": said["environment"],
        "min_workers": said["min_workers"],
        "max_workers": said["max_workers"],
    }
    given = {name: value for name, value in settings.items() if value is not None}
    body: dict[str, Any] = {"details": details, "settings": {**(defaults or {}), **given, **placement(said)}}
    if said["sample_input"] is not None:
        body["version_info"] = {"sample_input": said["sample_input"]}
    return body


@click.command("create")
@click.argument("algorithm", metavar="OWNER/NAME")
@_described
@pass_app
def create_(app: App, /, algorithm: str, **said: Any) -> None:
    """Create an algorithm, without a version at first.

    Its first sources are the template of its environment.

    \b
    Example:
      algo algorithms create me/Greeter --label Greeter
    """
    ref = _named(app, algorithm)
    defaults = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
    body = _body({**said, "label": said["label"] or ref.name}, defaults)
    try:
        with _told_of_environments(said["environment"]):
            made = api.send(app, "POST", f"algorithms/{ref.owner}", {"name": ref.name, **body})
    except (NotFoundError, PermissionDenied) as error:
        error.hint = (
            error.hint or f"Your own algorithms begin with your account's name: {app.api.username()}/{ref.name}"
        )
        raise
    _tell(app, made, f"Created {ref}")


@click.command("update")
@algorithm_argument
@_described
@pass_app
def update_(app: App, /, algorithm: str, **said: Any) -> None:
    """Change an algorithm's texts and settings; options left out keep their values.

    Processors, memory and other resources say on which nodes of a cluster workers are placed, ahead of
    algorithmia.conf; `default` has that apply again.

    \b
    Example:
      algo algorithms update me/Greeter --tagline "Greets anybody"
      algo algorithms update me/Greeter --cpus 2 --memory 4G --resource ssd=1
    """
    ref = _named(app, algorithm)
    body = {name: value for name, value in _body(said).items() if value}
    if not body:
        raise UsageError("Nothing to change", "Give at least one option: algo algorithms update --help")
    with api.suggesting(app, ref), _told_of_environments(said["environment"]):
        changed = api.send(app, "PUT", api.path_of(ref), body)
    _tell(app, changed, f"Updated {ref}")


@click.command("delete")
@algorithm_argument
@yes_option
@pass_app
def delete_(app: App, algorithm: str, yes: bool) -> None:
    """Delete an algorithm with its sources, builds and data.

    \b
    Example:
      algo algorithms delete me/Greeter --yes
    """
    ref = _named(app, algorithm)
    confirm(app, yes, f"Delete {ref} with its sources, builds and data?", f"algo algorithms delete {ref} --yes")
    try:
        with api.suggesting(app, ref):
            api.send(app, "DELETE", api.path_of(ref))
    except PermissionDenied as error:
        if "public versions" in error.message:
            error.hint = f"Withdraw each: algo algorithms unpublish {ref} VERSION; see: algo algorithms versions {ref}"
        raise
    _tell(app, {"algorithm": str(ref), "deleted": True}, f"Deleted {ref}")
    tell_of_dangling(app, ref)


@click.command("compile")
@algorithm_argument
@click.option(
    "--source",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Commit this directory, or archive, first.",
)
@click.option("--message", metavar="TEXT", help="Message of that commit.")
@click.option("--commit", metavar="HASH", help="Build this commit instead of the newest.")
@pass_app
def compile_(app: App, algorithm: str, source: Path | None, message: str | None, commit: str | None) -> None:
    """Build an algorithm's sources, and print the hash to call the build by.

    \b
    Example:
      algo algorithms compile me/Greeter --source ./greeter
    """
    if source and commit:
        raise UsageError("--source cannot be combined with --commit", "Leave one of them out")
    ref = _named(app, algorithm)
    with api.suggesting(app, ref):
        if source:
            from algo_manage.upload import upload

            commit = upload(app, ref, source, message)
        built = api.send(
            app,
            "POST",
            api.path_of(ref, "compile"),
            {"commitSha": commit} if commit else {},
            read_timeout=api.BUILD_SECONDS,
        )
    hashed = str(api.member(built, "version_info", "git_hash"))
    log = str(api.member(built, "compilation", "output"))
    if app.verbose:
        app.output.log(log.rstrip("\n"))
    if not api.member(built, "compilation", "successful"):
        told = "\n".join(log.strip().splitlines()[-TAIL:])
        raise AlgoError(f"The build of {ref} failed\n{told}", f"The whole log: algo builds logs {ref}")
    if app.output.is_json:
        app.output.json(built)
    else:
        app.output.print(hashed)
        app.output.info(f"Built {ref}; try it with: algo run {ref}/{hashed} -d INPUT")


@click.command("publish")
@algorithm_argument
@click.option("--major", "kind", flag_value="major", help="Publish as the next major version.")
@click.option("--minor", "kind", flag_value="minor", default=True, help="Publish as the next minor version (default).")
@click.option("--revision", "--patch", "kind", flag_value="revision", help="Publish as the next revision.")
@click.option("--public/--private", "public", default=None, help="Who may call it: everybody, or the owner.")
@click.option("--notes", metavar="TEXT", help="Release notes.")
@click.option("--sample-input", metavar="JSON", help="Input to try it with.")
@click.option("--sample-output", metavar="JSON", help="Output for the sample input.")
@pass_app
def publish_(
    app: App,
    algorithm: str,
    kind: str,
    public: bool | None,
    notes: str | None,
    sample_input: str | None,
    sample_output: str | None,
) -> None:
    """Publish the last good build as the next version.

    A revision keeps the visibility of the version before it. Other versions follow --public or --private, else the
    algorithm's settings (private at first). 'algo local publish' is for an author's own machine, and publishes public
    revisions.

    \b
    Example:
      algo algorithms publish me/Greeter --public --notes "Greets in verse"
    """
    ref = _named(app, algorithm)
    texts = {"release_notes": notes, "sample_input": sample_input, "sample_output": sample_output}
    info = {"version_type": kind, **{name: text for name, text in texts.items() if text is not None}}
    settings = {} if public is None else {"algorithm_callability": "public" if public else "private"}
    with api.suggesting(app, ref), _told_to_compile(ref):
        found = api.send(app, "POST", api.path_of(ref, "versions"), {"version_info": info, "settings": settings})
    _tell(app, found, f"Published {ref}/{api.member(found, 'version_info', 'semantic_version')}")
    api.tell_if_private(app, ref, found)


@click.command("unpublish")
@algorithm_argument
@click.argument("version", metavar="VERSION", required=False, shell_complete=complete_version)
@yes_option
@pass_app
def unpublish_(app: App, algorithm: str, version: str | None, yes: bool) -> None:
    """Withdraw a version. It can no longer be called, and its number is not reused.

    OWNER/NAME/VERSION can also be given as one argument.

    \b
    Example:
      algo algorithms unpublish me/Greeter 0.1.0 --yes
    """
    ref = api.named(app, algorithm)
    version, ref = version or ref.version, _named(app, str(ref) if version else str(ref._replace(version=None)))
    if not version:
        raise UsageError(f"No version of {ref} is named", f"List them with: algo algorithms versions {ref}")
    confirm(app, yes, f"Withdraw {ref}/{version}?", f"algo algorithms unpublish {ref} {version} --yes")
    with api.suggesting(app, ref):
        api.send(app, "DELETE", api.path_of(ref, f"versions/{version}"))
    _tell(app, {"algorithm": str(ref), "version": version, "unpublished": True}, f"Withdrew {ref}/{version}")
    tell_of_dangling(app, ref._replace(version=version))


@contextmanager
def _told_of_environments(environment: str | None) -> Iterator[None]:
    """Name the command that lists environments, where the given one is refused."""
    try:
        yield
    except AlgoError as error:
        if environment and "environment" in error.message and not error.hint:
            error.hint = "Give the 'id' of an environment, as in: algo environment python3"
        raise


@contextmanager
def _told_to_compile(ref: AlgorithmRef) -> Iterator[None]:
    """Name the command that makes a build, where there is none to publish."""
    try:
        yield
    except AlgoError as error:
        if "build to publish" in error.message:
            error.hint = f"Make one with: algo algorithms compile {ref} --source DIR"
        elif "newest build is published already" in error.message:
            error.hint = f"What became of later sources: algo builds list {ref}"
        raise


def _named(app: App, text: str) -> AlgorithmRef:
    ref = api.named(app, text)
    if ref.version or not ref.name:
        raise UsageError(f"Not an algorithm's name: {text!r}", "Write OWNER/NAME, for example demo/Hello")
    return ref


def _tell(app: App, found: Any, text: str) -> None:
    if app.output.is_json:
        if isinstance(found, dict) and "details" in found:
            describe(app, found)
        else:
            app.output.json(found)
    else:
        app.output.print(text)
