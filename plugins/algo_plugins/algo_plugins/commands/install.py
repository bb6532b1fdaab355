"""`algo plugins install`, `uninstall`, `upgrade` and `restore`. The installer is imported when a command runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_core.terminal.prompts import Prompter

if TYPE_CHECKING:
    from algo_plugins.installer.operations import Operations, Outcome, Step
    from algo_plugins.installer.preview import Preview

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")


@click.command()
@click.argument("requirements", metavar="REQUIREMENT...", nargs=-1, required=True)
@click.option("--isolated", is_flag=True, help="Install each plugin into an environment of its own.")
@yes_option
@pass_app
def install(app: App, requirements: tuple[str, ...], isolated: bool, yes: bool) -> None:
    """Install plugins.

    A REQUIREMENT is a distribution's name, also with versions ('reports>=2'), 'NAME @ URL', or the path of a
    wheel or a directory. Indexes are those that pip or uv is set to. What would change is shown first, with the
    commands and schemes that it adds; nothing is changed if it would break something that is installed.

    With --isolated an environment is made for each, with the plugin and the same core. Its commands are then run there
    with the same configuration; its connectors and other hooks do not take part.
    """
    from algo_plugins.installer.isolating import Isolating
    from algo_plugins.installer.lock import plugins_lock

    with plugins_lock(app.environ, app.output.info):
        operations = _operations(app, yes, "install", *(["--isolated"] if isolated else []), *requirements)
        outcome = Isolating(operations).install(requirements) if isolated else operations.install(requirements)
    _report(app, outcome, "Nothing to change: everything is installed")


@click.command()
@click.argument("dists", metavar="[DIST]...", nargs=-1)
@yes_option
@pass_app
def upgrade(app: App, dists: tuple[str, ...], yes: bool) -> None:
    """Upgrade plugins within their recorded requirements.

    Without DIST: all that 'algo plugins install' has installed. Isolated plugins get the core that is running now.
    """
    from algo_core.plugins.isolated import installed
    from algo_plugins.installer.isolating import Isolating
    from algo_plugins.installer.lock import plugins_lock
    from algo_plugins.installer.operations import Outcome, names_of

    with plugins_lock(app.environ, app.output.info):
        operations = _operations(app, yes, "upgrade", *dists)
        names = names_of(dists)
        present = installed(app.environ)
        here = [name for name in names if name not in present]
        apart = [name for name in names or present if name in present]
        outcome = Outcome()
        if here or not dists:
            outcome += operations.upgrade(here)
        if apart or not dists:
            outcome += Isolating(operations).upgrade(apart)
    _report(app, outcome, "Nothing to upgrade")


@click.command()
@yes_option
@pass_app
def restore(app: App, yes: bool) -> None:
    """Reinstall plugins that are recorded but missing.

    After an upgrade of the interpreter, or of the tool that installed algo, plugins may be gone.
    """
    from algo_plugins.installer.isolating import Isolating
    from algo_plugins.installer.lock import plugins_lock

    with plugins_lock(app.environ, app.output.info):
        operations = _operations(app, yes, "restore")
        outcome = operations.restore() + Isolating(operations).restore()
    _report(app, outcome, "Nothing is missing")


@click.command()
@click.argument("dists", metavar="DIST...", nargs=-1, required=True)
@yes_option
@pass_app
def uninstall(app: App, dists: tuple[str, ...], yes: bool) -> None:
    """Remove plugins; their dependencies stay."""
    from algo_plugins.installer.lock import plugins_lock
    from algo_plugins.installer.operations import names_of

    prompter = Prompter(app.output)
    with plugins_lock(app.environ, app.output.info):
        outcome = _operations(app, yes, "uninstall", *dists).uninstall(
            names_of(dists), lambda text: yes or prompter.confirm(text)
        )
    if app.output.is_json:
        app.output.json(outcome.as_dict())
    else:
        app.output.print(f"Removed {', '.join(outcome.removed)}")


def _operations(app: App, yes: bool, *words: str) -> Operations:
    from algo_plugins.installer.operations import Operations

    return Operations(app, _approval(app, yes, words))


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


def _report(app: App, outcome: Outcome, nothing: str) -> None:
    if app.output.is_json:
        app.output.json(outcome.as_dict())
    elif not outcome.changes:
        app.output.print(nothing)
    else:
        _tell(app, outcome)
    outcome.raise_if_broken()


def _tell(app: App, outcome: Outcome) -> None:
    described = {plugin["distribution"]: plugin for plugin in outcome.plugins}
    for _, name, version, previous in outcome.changes:
        plugin = described.get(name)
        done = f"Upgraded {name} from {previous} to {version}" if previous else f"Installed {name} {version}"
        commands = ", ".join(plugin["commands"]) if plugin else ""
        app.output.print(f"{done}: {commands}" if commands else done)
        if plugin and plugin["refusal"]:
            app.output.warn(f"{name} is not loaded: {plugin['refusal']}")
