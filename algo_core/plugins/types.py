"""The small values that cross the boundary between the core and its plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from algo_core.settings.profile import Profile

__all__ = ["Command", "Connector", "DirectoryRun", "DoctorCheck", "ExecutorFactory", "Profile", "Service", "Variable"]

GROUP = "algo.plugins"
"""The entry-point group in which a plugin's distribution names its plugin module."""


RESERVED_SCHEMES = {"data": "algo-data", "file": "algo-data"}
"""Schemes that only one distribution can claim: hosted data and the local file system are what every command means."""

ROLES = frozenset({"install", "restore", "try", "uninstall", "uris"})
"""The purposes for which messages suggest a command: the values of `Command.role`."""

SERVICES = {"copy": "algo-data", "run_algorithm": "algo-run"}
"""The services that `App` calls, `App.copy` and `App.run_algorithm`, and the distributions that bring them."""

ANY_SCHEME = "*"
"""The scheme of a connector for all unclaimed schemes, by the configured protocol."""


class Command(NamedTuple):
    """A subcommand, described without importing it.

    `name` is one word, or a path: `"acme jobs"` is the command `jobs` below `algo acme`, whichever distribution has
    `acme`, or none. `target` is `"package.module:attribute"`, a `click.Command` or `click.Group`, imported only when
    the command runs or completes its own arguments. `help` is the one line that `algo --help` shows; `group` the
    heading under which it stands, and `example` a command line for the end of that page. With a `role`, messages of
    others suggest the command: "install" and "uninstall" take names of distributions, "restore" brings back those that
    are gone, "try" shows that a profile works, "uris" explains how places are written.
    """

    name: str
    target: str
    help: str
    group: str = "Other"
    hidden: bool = False
    example: str = ""
    role: str = ""


class Connector(NamedTuple):
    """A URI scheme that a plugin can open as a storage.

    `target` is `"package.module:function"`; the function takes `(app, uri)`, the running `App` and a
    `algo_core.storage.uri.DataUri` of this scheme, and returns an `algo_core.storage.contract.Storage`.
    `labels` says whether `SCHEME+label://` belongs to it as well (API section 4.2).

    With `direct` the function takes `(scheme, options)` instead, a text and a mapping from option names to values, and
    returns a storage that needs nothing else: it reaches a store from whichever machine calls it. That is how a person
    uses it with `[connectors.SCHEME]` in config.toml, and how a platform uses it with the options of its connector.
    Where another plugin claims the scheme for the platform, that claim wins until the person asks for the direct one
    (`direct = true`). The scheme `*` stands for all unclaimed schemes.
    """

    scheme: str
    target: str
    help: str = ""
    labels: bool = False
    direct: bool = False


class ExecutorFactory(NamedTuple):
    """An executor: where the platform of algo-local runs algorithms, such as a cluster.

    The option `--engine NAME` of serving chooses it. `target` is `"package.module:function"`; the function takes `(app,
    endpoint, directory)` and returns an object that keeps the contract `algo_local.execution.executor.Executor`. `app`
    is the running `App`; `endpoint()` opens the address at which algorithms call the platform
    (`endpoint().address`); `directory` is a path for the executor's own files, which need not exist.
    """

    name: str
    target: str
    help: str = ""


class Service(NamedTuple):
    """A function that a plugin gives to all others, behind a call of `App`.

    `name` is `copy` (`App.copy`) or `run_algorithm` (`App.run_algorithm`). `target` is `"package.module:function"`,
    imported at the first call; the function takes the running `App` and the call's arguments.
    """

    name: str
    target: str


class DoctorCheck(NamedTuple):
    """A check for `algo doctor`: `run()` returns whether all is well, and one line that says what was found."""

    name: str
    run: Callable[[], tuple[bool, str]]


class DirectoryRun(NamedTuple):
    """A command's wish to run the algorithm in a directory of this machine (hook `algo_directory`)."""

    directory: str
    """Its path as it was typed."""
    variables: Mapping[str, str] = {}
    """Variables that are set in the algorithm's environment."""
    secrets: Sequence[str] = ()
    """Names of secrets of the algorithm that are set there, too."""
    report: Callable[[str], None] | None = None
    """Takes the lines of a build that is made, as they come."""
    on_output: Callable[[bytes], None] | None = None
    """Takes what the algorithm prints, as it comes."""
    on_delay: Callable[[str], None] | None = None
    """Takes a line at least every ten seconds while a build goes on that says nothing else."""


class Variable(NamedTuple):
    """An environment variable of a plugin, and its description."""

    name: str
    help: str
