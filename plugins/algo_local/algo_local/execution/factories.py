"""Opens executors of plugins (the hook `algo_executors`) by name, for `algo local serve --engine NAME`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from algo_core.errors import AlgoError, UsageError, cause

if TYPE_CHECKING:
    from algo_core import App
    from algo_local.execution.executor import Endpoint, Executor

    Opener = Callable[[Callable[[], Endpoint], Path], Executor]

OWN_EXECUTOR = "ray"
"""The executor that comes as an extra of this distribution."""

METHODS = ("start", "call", "cancel", "context_of", "describe", "drain", "close")
"""The methods of an executor."""


def names_of_executors(app: App) -> list[str]:
    """The names of all executors of plugins, sorted."""
    return sorted({name for record in app.plugins.allowed for name, *_ in record.executors})


def executor_opener(app: App, name: str) -> Opener:
    """A function that opens and starts the named executor, given the callback endpoint and a directory of its own.

    Raises:
        UsageError: if no plugin offers it, or several do.
        PluginError: if its function cannot be loaded; also by the opener, if it fails or returns no executor.
    """
    claims = [
        (record, target) for record in app.plugins.allowed for other, target, _ in record.executors if other == name
    ]
    if not claims:
        raise UsageError(f"No plugin has an executor {name!r}", _choice(app, name))
    if len(claims) > 1:
        raise UsageError(
            f"Several plugins have an executor {name!r}: {', '.join(record.dist for record, _ in claims)}",
            f"Disable all but one, for example: `algo plugins disable {claims[-1][0].dist}`",
        )
    from algo_local.execution.cluster_report import report_cluster

    record, target = claims[0]
    make = app.plugins.load_target(record, target)

    def open_executor(endpoint: Callable[[], Endpoint], directory: Path) -> Executor:
        try:
            executor = _checked(make(app, endpoint, directory))
            executor.start()
        except (AlgoError, KeyboardInterrupt):
            raise
        except BaseException as error:  # any failure of a plugin is reported as its own
            raise app.plugins.broken(record, f"{target}: {cause(error)}") from error
        report_cluster(executor, directory)
        return executor

    return open_executor


def _choice(app: App, name: str) -> str:
    if name == OWN_EXECUTOR:
        return f"Install it with: {app.plugins.to_install('algo-local[ray]')}"
    if names := names_of_executors(app):
        return f"Installed are: {', '.join(names)}. Without --engine, algorithms run on this machine"
    return "Leave out --engine to run algorithms on this machine, or install a plugin that has the executor"


def _checked(made: object) -> Executor:
    if missing := [method for method in METHODS if not callable(getattr(made, method, None))]:
        raise TypeError(f"it returned {made!r:.80}, which is not an executor: it has no {missing[0]}")
    return cast("Executor", made)
