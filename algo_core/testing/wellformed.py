"""Checks that a plugin is well formed: everything that `algo` relies on."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from algo_core.errors import AlgoError
from algo_core.plugins.index import PluginRecord, discover
from algo_core.plugins.types import ANY_SCHEME, ROLES, SERVICES

LIGHT = frozenset({"algo_core", "pluggy", "click", "typing_extensions"})
"""Packages beyond the standard library that a plugin's module may import: `algo` has them loaded by then."""

HEAVY = frozenset({"asyncio", "ctypes", "http.client", "multiprocessing", "sqlite3", "ssl", "urllib.request"})
"""Modules of the standard library that cost more than a plugin's module should."""

HELP_WIDTH = 80
"""Characters that a help line may have: `algo --help` shows a command in one line."""

_COMMAND_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SCHEME = re.compile(r"[a-z][a-z0-9.-]+")


def assert_plugin_well_formed(dist: str) -> None:
    """Check the plugins of an installed distribution.

    Looked at are: that each plugin module loads, and what it imports; that its hooks exist and take arguments that
    they have; names, help lines and groups of commands; that what commands and connectors name can be imported and is
    of the right kind. All of it happens in a new interpreter, so that nothing that a test has imported hides anything.
    Arguments that are on their way out are named in a DeprecationWarning.

    Raises:
        AssertionError: with all that is wrong, one sentence in a line.
    """
    from algo_core.plugins.policy import normalized

    records = [record for record in discover() if record.dist == normalized(dist)]
    if not records:
        raise AssertionError(f"No installed distribution {dist!r} has an entry point in the group algo.plugins")
    found = [_looked_at(record) for record in records]
    for remark in (remark for report in found for remark in report["deprecated"]):
        warnings.warn(remark, DeprecationWarning, stacklevel=2)
    problems = [problem for report in found for problem in report["problems"]]
    if problems:
        raise AssertionError(f"{dist} is not well formed:\n" + "\n".join(f"- {problem}" for problem in problems))


_LOOK = f"from {__name__} import main; main()"


def _looked_at(record: PluginRecord) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, record.entry, record.module, record.dist, record.version],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise AssertionError(f"{record.module} ended the interpreter with exit code {done.returncode}: {said}")
    return json.loads(done.stdout.splitlines()[-1])


def look_at(record: PluginRecord) -> dict[str, list[str]]:
    """All `problems` of a plugin, and its `deprecated` arguments. It is loaded: call it in a process of its own."""
    from algo_core.plugins.examination import examine
    from algo_core.plugins.manager import Plugins
    from algo_core.plugins.policy import Policy
    from algo_core.plugins.signatures import DEPRECATED

    problems = [*_load_problems(record)]
    if record.error:
        return {"problems": problems, "deprecated": []}
    examine(record)
    if record.error:
        return {"problems": [*problems, f"{record.module} is broken: {record.error}"], "deprecated": []}
    if not record.hooks and not record.remarks:
        problems.append(f"{record.module} implements no hook: mark its functions with @hookimpl")
    plugins = Plugins("", Policy(), lambda text: None)
    problems += [problem for row in record.commands for problem in _command_problems(record, plugins, *row)]
    problems += [problem for row in record.connectors for problem in _connector_problems(record, plugins, *row)]
    problems += [problem for row in record.executors for problem in _executor_problems(record, plugins, *row)]
    problems += [problem for row in record.services for problem in _service_problems(record, plugins, *row)]
    deprecated = [remark for remark in record.remarks if DEPRECATED in remark]
    problems += [f"{record.module} {remark}" for remark in record.remarks if remark not in deprecated]
    return {"problems": problems, "deprecated": deprecated}


def _load_problems(record: PluginRecord) -> Iterator[str]:
    import importlib

    import click  # noqa: F401 - loaded by then whenever algo runs
    import pluggy  # noqa: F401 - as above

    from algo_core.errors import cause
    from algo_core.plugins import (
        hookspecs,  # noqa: F401 - as above
        types,  # noqa: F401 - as above
    )

    before = set(sys.modules)
    try:
        importlib.import_module(record.module)
    except BaseException as error:  # whatever a plugin does is a finding
        record.error = cause(error)
        yield f"{record.module} cannot be imported: {record.error}"
    own = record.module.partition(".")[0]
    heavy = sorted({name for name in map(_heavy_name, set(sys.modules) - before) if name and name != own})
    if heavy:
        yield (
            f"{record.module} imports {', '.join(heavy)} when it is loaded, which slows down every start that asks "
            "its hooks: import them inside the functions that need them"
        )


def _heavy_name(module: str) -> str | None:
    """The display name of a heavy module that a plugin has loaded; None for a cheap one."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return module if module in HEAVY else None
    return None if top in LIGHT else top.lstrip("_")


def _command_problems(
    record: PluginRecord,
    plugins: Any,
    name: str,
    target: str,
    text: str,
    group: str,
    hidden: bool,
    example: str,
    role: str,
) -> Iterator[str]:
    import click

    from algo_core.cli import BUILT_IN

    if not all(_COMMAND_NAME.fullmatch(word) for word in name.split(" ")):
        yield f"The command {name!r} is not named in lower-case letters, digits and hyphens"
    if name in BUILT_IN:
        yield f"The command {name} has the name of a built-in one, and cannot be run"
    if "\n" in example or (example and not example.startswith(f"algo {name}")):
        yield f"The example of the command {name} is not one line that begins with 'algo {name}'"
    if role and role not in ROLES:
        yield f"The command {name} has the role {role!r}, which is none of {', '.join(sorted(ROLES))}"
    if not text.strip() or "\n" in text or len(text) > HELP_WIDTH:
        yield f"The command {name} needs a help line of 1 to {HELP_WIDTH} characters"
    if not hidden and (not group.strip() or group == "Other"):
        yield f"The command {name} has no group: give the heading under which 'algo --help' should list it"
    try:
        found = plugins.load_target(record, target)
    except AlgoError as error:
        yield f"What the command {name} names, {target}, cannot be loaded: {error.message}"
        return
    if not isinstance(found, click.Command):
        yield f"What the command {name} names, {target}, is a {type(found).__name__}, not a click command"
    elif not (found.help or "").strip():
        yield f"{target} has no docstring: 'algo {name} --help' explains nothing"


def _connector_problems(
    record: PluginRecord, plugins: Any, scheme: str, target: str, text: str, labels: bool, direct: bool
) -> Iterator[str]:
    if not _SCHEME.fullmatch(scheme) and not (direct and scheme == ANY_SCHEME):
        yield f"The scheme {scheme!r} is not two or more lower-case letters, digits, dots and hyphens"
    if not text.strip():
        yield f"The connector {scheme}:// needs a help line"
    arguments = ("scheme", "options") if direct else ("app", "uri")
    yield from _call_problems(record, plugins, f"the connector {scheme}://", target, arguments)


def _executor_problems(record: PluginRecord, plugins: Any, name: str, target: str, text: str) -> Iterator[str]:
    if not _COMMAND_NAME.fullmatch(name):
        yield f"The executor {name!r} is not named in lower-case letters, digits and hyphens"
    if not text.strip():
        yield f"The executor {name} needs a help line"
    yield from _call_problems(record, plugins, f"the executor {name}", target, ("app", "endpoint", "directory"))


def _call_problems(
    record: PluginRecord, plugins: Any, owner: str, target: str, arguments: tuple[str, ...]
) -> Iterator[str]:
    try:
        found = plugins.load_target(record, target)
    except AlgoError as error:
        yield f"What {owner} names, {target}, cannot be loaded: {error.message}"
        return
    try:
        inspect.signature(found).bind(*arguments)
    except TypeError:
        yield f"What {owner} names, {target}, cannot be called with ({', '.join(arguments)})"


def _service_problems(record: PluginRecord, plugins: Any, name: str, target: str) -> Iterator[str]:
    if name not in SERVICES:
        yield f"The service {name!r} is none of {', '.join(sorted(SERVICES))}"
    try:
        found = plugins.load_target(record, target)
    except AlgoError as error:
        yield f"What the service {name} names, {target}, cannot be loaded: {error.message}"
        return
    if not callable(found):
        yield f"What the service {name} names, {target}, is a {type(found).__name__}, and cannot be called"


def main() -> None:
    """Look at the plugin that the arguments describe; the findings are the last line of stdout."""
    sys.stdout.write("\n" + json.dumps(look_at(PluginRecord(*sys.argv[1:]))) + "\n")
