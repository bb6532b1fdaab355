"""`algo plugins install`, `uninstall`, `upgrade`, `restore` and `outdated`. The installer is imported when one runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_core.terminal.options import yes_option
from algo_core.terminal.prompts import Prompter

if TYPE_CHECKING:
    from algo_plugins.installer.operations import Operations
    from algo_plugins.installer.outcome import Outcome, Step
    from algo_plugins.installer.preview import Preview
    from algo_plugins.installer.requirements_file import Contents

exit_code_option = click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 64 if something changed or would change, with 0 if there was nothing to do.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")


@click.command()
@click.argument("requirements", metavar="[REQUIREMENT]...", nargs=-1)
@click.option(
    "-r",
    "--requirement",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="Install what a requirements file lists (repeatable); its hashes are checked.",
)
@click.option("--require-hashes", is_flag=True, help="Refuse requirements files without a hash for everything.")
@click.option("--isolated", is_flag=True, help="Install each plugin into an environment of its own.")
@dry_run_option
@exit_code_option
@yes_option
@pass_app
def install(
    app: App,
    requirements: tuple[str, ...],
    files: tuple[str, ...],
    require_hashes: bool,
    isolated: bool,
    dry_run: bool,
    exit_code: bool,
    yes: bool,
) -> None:
    """Install plugins.

    A REQUIREMENT is a distribution's name, also with versions ('reports>=2'), 'NAME @ URL', or the path of a
    wheel or a directory. Packages come from the indexes that pip or uv is configured for. What would change is
    shown first, with the commands and schemes that it adds; nothing is changed if it would break
    something that is installed.

    With --isolated an environment is made for each, with the plugin and the same core. Its commands are then run there
    with the same configuration, credentials and storages, and its storages can be used here; its other hooks do not
    take part.

    A requirements file (-r) in which one requirement has a hash must have exact versions and hashes of everything that
    is installed, dependencies included. A file with another hash is refused, and nothing is changed.

    \b
    Examples:
      algo plugins install 'acme-reports>=2'
      algo plugins install ./acme-reports --isolated
      algo plugins install -r plugins.txt
    """
    from algo_plugins.installer.isolating import Isolating

    if not requirements and not files:
        raise UsageError("REQUIREMENT or -r FILE is missing", "See: algo plugins install --help")
    if require_hashes and not files:
        raise UsageError("--require-hashes needs -r FILE")
    words = [*(["--isolated"] if isolated else []), *(f"--requirement={file}" for file in files), *requirements]
    with _alone(app, dry_run) as environ:
        operations = _operations(app, yes, "install", *words, dry_run=dry_run, tool_environ=environ)
        listed = _read_files(files, require_hashes)
        if not requirements and not (listed and listed.requirements):
            raise UsageError(f"There is nothing to install in {', '.join(files)}")
        act = Isolating(operations).install if isolated else operations.install
        outcome = act(requirements, listed)
    _report(app, outcome, "Nothing to change: everything is installed", exit_code)


@click.command()
@click.argument("dists", metavar="[DIST]...", nargs=-1)
@dry_run_option
@exit_code_option
@yes_option
@pass_app
def upgrade(app: App, dists: tuple[str, ...], dry_run: bool, exit_code: bool, yes: bool) -> None:
    """Upgrade plugins within their recorded requirements.

    Without DIST: all that 'algo plugins install' has installed. Isolated plugins get the core that is running now.

    \b
    Example:
      algo plugins upgrade acme-reports
    """
    from algo_core.plugins.isolated import installed
    from algo_plugins.installer.isolating import Isolating
    from algo_plugins.installer.operations import names_of
    from algo_plugins.installer.outcome import Outcome

    with _alone(app, dry_run) as environ:
        operations = _operations(app, yes, "upgrade", *dists, dry_run=dry_run, tool_environ=environ)
        names = names_of(dists)
        present = installed(app.environ)
        here = [name for name in names if name not in present]
        apart = [name for name in names or present if name in present]
        outcome = Outcome(dry_run=dry_run)
        if here or not dists:
            outcome += operations.upgrade(here)
        if apart or not dists:
            outcome += Isolating(operations).upgrade(apart)
    _report(app, outcome, "Nothing to upgrade", exit_code)


@click.command()
@exit_code_option
@yes_option
@pass_app
def restore(app: App, exit_code: bool, yes: bool) -> None:
    """Reinstall plugins that are recorded but missing.

    After an upgrade of the interpreter, or of the tool that installed algo, plugins may be gone.

    \b
    Example:
      algo plugins restore
    """
    from algo_plugins.installer.isolating import Isolating

    with _alone(app) as environ:
        operations = _operations(app, yes, "restore", tool_environ=environ)
        outcome = operations.restore() + Isolating(operations).restore()
    _report(app, outcome, "Nothing is missing", exit_code)


@click.command()
@click.argument("dists", metavar="DIST...", nargs=-1, required=True)
@yes_option
@pass_app
def uninstall(app: App, dists: tuple[str, ...], yes: bool) -> None:
    """Remove plugins; their dependencies stay.

    \b
    Example:
      algo plugins uninstall acme-reports
    """
    from algo_plugins.installer.operations import names_of

    prompter = Prompter(app.output)
    with _alone(app, offline=True):
        outcome = _operations(app, yes, "uninstall", *dists).uninstall(
            names_of(dists), lambda text: yes or prompter.confirm(text)
        )
    if app.output.is_json:
        app.output.json(outcome.as_dict())
    else:
        app.output.print(f"Removed {', '.join(outcome.removed)}")


@click.command()
@click.argument("dist")
@yes_option
@pass_app
def rollback(app: App, dist: str, yes: bool) -> None:
    """Bring back the version of DIST before its last upgrade.

    Dependencies that were upgraded along with it are brought back as well, and no package index is asked. The version
    that is replaced is kept in turn: the same command undoes the rollback.

    \b
    Example:
      algo plugins rollback acme-reports
    """
    from algo_plugins.installer.operations import names_of
    from algo_plugins.installer.rollback import roll_back

    (name,) = names_of([dist])
    with _alone(app, offline=True):
        outcome = roll_back(_operations(app, yes, "rollback", dist), name)
    _report(app, outcome, "")
    for step in outcome.changes:
        if step.distribution == name and not app.output.is_json:
            app.output.info(f"To stay with it: algo plugins install '{name}=={step.version}'")


@click.command()
@click.argument("dists", metavar="[DIST]...", nargs=-1)
@click.option("--exit-code", is_flag=True, help="Exit with 64 if one is outdated.")
@pass_app
def outdated(app: App, dists: tuple[str, ...], exit_code: bool) -> None:
    """List plugins that have newer versions.

    For each its version, the one that 'algo plugins upgrade' would install, the newest one, and what holds that back:
    the recorded requirement, the administrator, or a requirement of something else that is installed.

    Without DIST: all that 'algo plugins install' has installed.

    \b
    Example:
      algo plugins outdated
    """
    from algo_plugins.installer.operations import names_of
    from algo_plugins.installer.outdated import standings

    with _alone(app, dry_run=True) as environ:
        found = standings(_operations(app, True, "outdated", tool_environ=environ), names_of(dists))
    if app.output.is_json:
        app.output.json([{**standing._asdict(), "outdated": standing.is_outdated} for standing in found])
    elif shown := [standing for standing in found if standing.is_outdated or standing.held_back]:
        headers = ["Distribution", "Installed", "Upgrade", "Newest", "Held back"]
        rows = [[s.distribution, s.installed or "", s.upgrade or "", s.latest or "", s.held_back or ""] for s in shown]
        app.output.table(headers, rows)
    else:
        app.output.print("Nothing is outdated")
    _exit_if(exit_code and any(standing.is_outdated for standing in found))


@contextmanager
def _alone(app: App, dry_run: bool = False, *, offline: bool = False) -> Iterator[Mapping[str, str]]:
    """Let no other `algo` change plugins meanwhile, and undo what one left half-done; the environment for the tools.

    A dry run, which writes nothing, neither waits nor undoes.
    """
    from algo_plugins.installer.changing import mend, refuse_interrupted
    from algo_plugins.installer.lock import plugins_lock
    from algo_plugins.installer.network import tools_environ

    with ExitStack() as stack:
        if dry_run:
            refuse_interrupted()
        else:
            stack.enter_context(plugins_lock(app.environ, app.output.info))
            mend(app.output.warn)
        yield app.environ if offline else stack.enter_context(tools_environ(app))


def _read_files(files: Sequence[str], require_hashes: bool) -> Contents | None:
    from algo_plugins.installer import requirements_file
    from algo_plugins.installer.operations import without_running_core

    if not files:
        return None
    return without_running_core(requirements_file.read(files, require_hashes=require_hashes))


def _operations(
    app: App, yes: bool, *words: str, dry_run: bool = False, tool_environ: Mapping[str, str] | None = None
) -> Operations:
    from algo_plugins.installer.operations import Operations

    def keep(text: str) -> bool:
        prompter = Prompter(app.output)
        if yes or app.output.is_json or not prompter.is_terminal:
            return False
        app.output.warn(text)
        return prompter.confirm("Keep it nevertheless?")

    return Operations(app, _approval(app, yes or dry_run, words), keep, dry_run=dry_run, tool_environ=tool_environ)


def _approval(app: App, yes: bool, words: Sequence[str]) -> Callable[[list[Step], Sequence[Preview]], bool]:
    """Show the planned changes and ask; a script is not asked, unless a change affects another plugin.

    `words` are those of the command line behind `algo plugins`.
    """

    def approve(steps: list[Step], previews: Sequence[Preview]) -> bool:
        if steps:
            apart = steps[0].environment == "isolated"
            place = "an environment of its own" if apart else f"the {steps[0].environment} environment of algo"
            app.output.info(f"To be installed into {place}:")
        for step in steps:
            app.output.info(f"  {step.distribution} {step.version}" + (f" (now {step.previous})" * bool(step.previous)))
        for preview in previews:
            app.output.info(str(preview))
        taken = [sentence for preview in previews for sentence in preview.taken]
        for sentence in taken:
            app.output.warn(sentence)
        prompter = Prompter(app.output)
        if yes:
            return True
        if prompter.is_terminal and not app.output.is_json:
            return prompter.confirm("Install?")
        if taken:
            names = " ".join(preview.dist for preview in previews if preview.taken)
            command, *rest = words
            again = shlex.join(["algo", "plugins", command, "--yes", *rest])
            raise UsageError(
                f"{names} would take commands or schemes of other plugins; nothing was changed",
                f"To do it anyway: `{again}`",
            )
        return True

    return approve


def _report(app: App, outcome: Outcome, nothing: str, exit_code: bool = False) -> None:
    if app.output.is_json:
        app.output.json(outcome.as_dict())
    elif not outcome.changes:
        app.output.print(nothing)
    else:
        _tell(app, outcome)
    outcome.raise_if_broken()
    _exit_if(exit_code and outcome.result != "unchanged")


def _exit_if(changed: bool) -> None:
    from algo_plugins.installer.outcome import CHANGED

    if changed:
        click.get_current_context().exit(CHANGED)


def _tell(app: App, outcome: Outcome) -> None:
    described = {plugin["distribution"]: plugin for plugin in outcome.plugins}
    for step in outcome.changes:
        plugin = described.get(step.distribution)
        done = _sentence(step, outcome.dry_run)
        commands = ", ".join(plugin["commands"]) if plugin else ""
        app.output.print(f"{done}: {commands}" if commands else done)
        if plugin and plugin.get("refusal"):
            app.output.warn(f"{step.distribution} is not loaded: {plugin['refusal']}")


_DONE = {"install": "Installed", "reinstall": "Reinstalled", "upgrade": "Upgraded", "downgrade": "Downgraded"}


def _sentence(step: Step, dry_run: bool) -> str:
    verb = f"Would {step.action}" if dry_run else _DONE[step.action]
    if step.action in {"install", "reinstall"}:
        return f"{verb} {step.distribution} {step.version}"
    return f"{verb} {step.distribution} from {step.previous} to {step.version}"
