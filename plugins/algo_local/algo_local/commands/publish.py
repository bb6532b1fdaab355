"""`algo local publish`: builds a directory and publishes it as a version."""

from __future__ import annotations

from pathlib import Path

import click

from algo_core import App, pass_app
from algo_core.errors import AlgoError, AlgorithmFailed, UsageError
from algo_core.storage.uri import pasted
from algo_local.algorithms.build import BuildError, NetworkAccess
from algo_local.algorithms.configuration import identity, read_configuration
from algo_local.algorithms.directory_publication import Wish
from algo_local.algorithms.languages.interpreters import parse_python
from algo_local.algorithms.progress import told_regularly
from algo_local.algorithms.registry import Version
from algo_local.platform import Platform
from algo_local.state import State


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("algorithm", metavar="[OWNER/NAME]", required=False)
@click.option("--version", metavar="X.Y.Z", help="Semantic version to publish it as. Default: the next one.")
@click.option("--patch", "--revision", "kind", flag_value="revision", default=True, help="Next revision (default).")
@click.option("--minor", "kind", flag_value="minor", help="Next minor version.")
@click.option("--major", "kind", flag_value="major", help="Next major version.")
@click.option(
    "--public/--private", default=True, show_default=True, help="Who may call it: everybody, or the owner alone."
)
@click.option(
    "--network-access",
    type=click.Choice(["full", "isolated"]),
    help="Network access of all its versions: unrestricted, or the platform only.",
)
@click.option("--python", metavar="X.Y", help="Version of Python to run it with. Default: as algorithmia.conf says.")
@click.option("--no-sample", is_flag=True, help="Publish it without calling it on its sample input.")
@pass_app
def publish(
    app: App,
    directory: Path,
    algorithm: str | None,
    version: str | None,
    kind: str,
    public: bool,
    network_access: NetworkAccess | None,
    python: str | None,
    no_sample: bool,
) -> None:
    """Build the algorithm in DIRECTORY and publish it as a version.

    Owner and name come from its algorithmia.conf unless OWNER/NAME is given; '.my' as the owner is your own account.
    What it requires is installed into a virtual environment of its own. If it has a sample input, it is called on that
    first; if that fails, nothing is published. Content that the newest version has already is not published again.

    This is for an author's work on this machine: it publishes the next revision, which can be called at once as
    OWNER/NAME. 'algo algorithms publish' makes releases for others on any platform: the next minor version, private
    unless the algorithm's settings or --public say otherwise.

    \b
    Examples:
      algo local publish ./my_algorithm
      algo local publish ./my_algorithm acme/Detector --version 1.0.0
    """
    from algo_local.opening import open_platform
    from algo_local.sample_runs import sample_call

    # Installing requirements can take minutes: show progress.
    every = app.output.info if app.verbose or app.output.shows_progress else None
    wanted = parse_python(python) if python else ()
    wish = Wish(version, kind, public=public, network_access=network_access, python=wanted)
    platform = open_platform(State.of())
    try:
        platform.check_writable()
        names = _names(platform, directory, algorithm)
        try_it = None if no_sample else sample_call(platform, directory, *names)
        with told_regularly(every, app.output.info) as report:
            published, is_new = platform.publish_directory(directory, *names, wish, try_it=try_it, report=report)
    except BuildError as error:
        if error.commit:
            log = f"The whole log: algo builds logs {names[0]}/{names[1]}{_sudo(platform, names[0])}"
            error.hint = f"{error.hint}\n{log}" if error.hint else log
        raise
    except AlgorithmFailed as failure:
        if failure.stacktrace and not app.output.is_json:
            app.output.log(failure.stacktrace.rstrip("\n"))
        failure.hint = (
            f"Nothing was published; try it with: algo run {pasted(_typed(directory))} -d INPUT,"
            " or publish it all the same with --no-sample"
        )
        raise
    finally:
        platform.close()
    _tell(app, published, is_new=is_new)


def _names(platform: Platform, directory: Path, algorithm: str | None) -> tuple[str, str]:
    """Owner and name: as given, else as the directory says. UsageError, BuildError if neither says so."""
    if algorithm is None:
        from algo_local.web.directory_calls import algorithm_directory

        path = algorithm_directory(_typed(directory), "algo local publish")
        return identity(path, read_configuration(path), platform.account)
    owner, slash, name = algorithm.removeprefix("algo://").partition("/")
    if not slash or not owner or not name or "/" in name:
        raise UsageError(f"Not an algorithm: {algorithm!r}", "Write OWNER/NAME, for example demo/Hello")
    return platform.account if owner == ".my" else owner, name


def _sudo(platform: Platform, owner: str) -> str:
    """The option with which the platform's own user sees builds of another account."""
    account = platform.account
    return "" if owner == account or owner in platform.metadata.roles(account) else " --sudo"


def _typed(directory: Path) -> str:
    text = str(directory)
    return text if text.startswith(("/", ".", "~")) else f"./{text}"


def _tell(app: App, published: Version, *, is_new: bool) -> None:
    found = published.algorithm
    if app.output.is_json:
        app.output.json(
            {
                "algorithm": f"{found.owner}/{found.name}",
                "version": published.text,
                "visibility": "public" if published.public else "private",
                "commit": published.build.commit,
                "new": is_new,
            }
        )
    elif is_new:
        app.output.print(f"Published {found.owner}/{found.name}/{published.text}")
        _tell_if_elsewhere(app)
    else:
        app.output.print(f"Unchanged since {found.owner}/{found.name}/{published.text}: nothing was published")


def _tell_if_elsewhere(app: App) -> None:
    """Say that a profile of another platform has no part in this; one on loopback may well serve this one."""
    from urllib.parse import urlsplit

    from algo_core.settings.profile import is_loopback

    try:
        profile = app.profiles.resolve(app.profile_flag)
    except AlgoError:  # publishing needs no profile
        return
    host = urlsplit(profile.address).hostname
    if host and (app.profile_flag or not is_loopback(host)):
        app.output.info(
            f"It is on this machine's own platform; to publish at {profile.address}: algo algorithms compile --source"
        )
