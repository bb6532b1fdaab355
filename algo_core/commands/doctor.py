"""`algo doctor`: checks of the installation, each with its remedy."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable, Iterator

import click

from algo_core.commands.help import all_variables
from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, cause
from algo_core.plugins import isolated
from algo_core.plugins.advice import to_restore
from algo_core.plugins.recorded import interrupted, missing, told
from algo_core.settings import paths
from algo_core.settings.repair import advice, faults_of, sentence
from algo_core.settings.schema import Fault, nearest
from algo_core.terminal.signals import Terminated

Check = Callable[[], tuple[bool, str]]


@click.command()
@pass_app
def doctor(app: App) -> None:
    """Check configuration, profile, connection and plugins (exit code 1 on a problem).

    \b
    Examples:
      algo doctor
      algo doctor --profile work
    """
    results = []
    for name, check in _checks(app):
        ok, text = _carried_out(check)
        results.append({"check": name, "ok": ok, "text": text})
        if not app.output.is_json:
            app.output.print(f"{'ok  ' if ok else 'FAIL'}  {name}: {text}".replace("\n", "\n      "))
    if app.output.is_json:
        app.output.json(results)
    wrong = [result for result in results if not result["ok"]]
    if wrong:
        raise AlgoError(f"{len(wrong)} of {len(results)} checks failed")


def _checks(app: App) -> Iterator[tuple[str, Check]]:
    yield "configuration", lambda: _configuration(app)
    for fault in faults_of(app.config):
        yield "configuration", functools.partial(_fault, app, fault)
    for layer in app.config.sites:
        if layer.table:
            yield "administrator's file", functools.partial(_right, layer.file)
    if unknown := _unknown_variables(app):
        yield "environment", lambda: (False, "; ".join(unknown))
    yield "profile", lambda: _profile(app)
    if _carried_out(lambda: _profile(app))[0]:
        yield "platform", lambda: _platform(app)
    yield "plugin index", lambda: _index(app)
    for record in app.plugins.records:
        yield (
            f"plugin {record.label}",
            lambda record=record: (  # type: ignore[misc]  # mypy cannot type the default
                record.error is None,
                record.refusal
                or record.error
                or "; ".join([f"loaded in {record.seconds * 1000:.0f} ms", *record.remarks]),
            ),
        )
    if cut := interrupted(app.plugins.allowed):
        yield "installation", lambda: (False, cut)
    if gone := missing(app.config):
        yield "recorded plugins", lambda: (False, told(gone, app.plugins.allowed))
    for name in isolated.installed(app.environ):
        yield f"isolated plugin {name}", functools.partial(_isolated, app, name)
    for checks in app.plugins.call("algo_doctor_checks"):
        for check in checks:
            yield check.name, check.run


def _carried_out(check: Check) -> tuple[bool, str]:
    try:
        ok, text = check()
        return bool(ok), str(text)
    except AlgoError as error:
        return False, error.message + (f" ({error.hint})" if error.hint else "")
    except Terminated:
        raise
    except BaseException as error:  # a plugin's check must not end the others
        return False, cause(error)


def _configuration(app: App) -> tuple[bool, str]:
    file = app.config.user_file
    if not os.path.exists(file):
        return True, f"{file} does not exist yet; defaults are used"
    mode = stat.S_IMODE(os.stat(file).st_mode)
    if mode & 0o077:
        return False, f"{file} can be read by others (mode {mode:04o}); correct it with: `chmod 600 {file}`"
    return True, str(file)


def _fault(app: App, fault: Fault) -> tuple[bool, str]:
    return False, f"{sentence(fault)} ({advice(fault, app.config.user_file)})"


def _right(file: str) -> tuple[bool, str]:
    return True, file


def _unknown_variables(app: App) -> list[str]:
    """Warnings about misspelt environment variables, which would be ignored silently."""
    found = []
    known = [variable.name for variable in all_variables(app)]
    for name in sorted(app.environ):
        if not name.startswith(("ALGO_", "ALGORITHMIA_")) or name in known:
            continue
        if meant := nearest(name, known, cutoff=0.78):
            found.append(f"{name} is not a known variable: did you mean {meant}?")
    return found


def _profile(app: App) -> tuple[bool, str]:
    profile = app.profiles.resolve(app.profile_flag)
    credential = profile.credential
    key = f", {credential.kind} from {credential.origin}" if credential else ""
    return True, f"{profile.name}: {profile.address} from {profile.address_origin}{key}"


def _platform(app: App) -> tuple[bool, str]:
    return True, f"account {app.api.username()}"


def _isolated(app: App, name: str) -> tuple[bool, str]:
    why = isolated.trouble(app.environ, name)
    if why is None:
        return True, str(isolated.place_of(app.environ, name))
    return False, f"{why}; {to_restore(app.plugins.allowed)}"


def _index(app: App) -> tuple[bool, str]:
    directory = paths.cache_dir(app.environ)
    app.plugins.rebuild()
    writable = os.access(directory, os.W_OK)
    return writable, str(directory) if writable else f"{directory} is not writable: plugins are indexed at every start"
