"""Starts isolated plugins with a bridge, and finds it in the process that was started."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from algo_core.bridge.channel import Gone
from algo_core.bridge.client import Bridge
from algo_core.bridge.server import Serving, serve
from algo_core.errors import ConfigError, PermissionDenied, UsageError
from algo_core.plugins import isolated
from algo_core.plugins.external import BRIDGE
from algo_core.plugins.manager import Plugins
from algo_core.plugins.policy import ASK, Policy
from algo_core.settings.config import Config
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri

PROGRAM = "import sys; from algo_core.commands.bridged import main; main(sys.argv[1])"


class Running(Serving, Protocol):
    """The part of the running `App` that is needed here."""

    environ: Mapping[str, str]
    profile_flag: str | None
    policy_error: ConfigError | None
    bridge: Bridge | None

    @property
    def config(self) -> Config:
        """The configuration."""

    @property
    def plugins(self) -> Plugins:
        """The installed plugins."""


def check_allowed(app: Running, plugin: isolated.Isolated) -> None:
    """Refuse an isolated plugin that may not run.

    Raises:
        PermissionDenied: if the administrator does not allow it.
        ConfigError: if the administrator's file is wrong, or requires a plugin that is missing.
    """
    if app.policy_error:
        raise app.policy_error
    app.plugins.check_required()
    if why := Policy.read(app.config).site_refusal(plugin.name, plugin.version):
        raise PermissionDenied(f"The isolated plugin {plugin.name} {plugin.version} is {why}", ASK)


def run(app: Running, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the executable `algo-NAME`; that of an isolated plugin gets a bridge to this process. The exit code.

    Raises:
        PermissionDenied: if the administrator does not allow that plugin.
    """
    plugin = _isolated(app, command[0])
    if plugin is None:
        return subprocess.run(command, env=dict(environ), check=False).returncode
    check_allowed(app, plugin)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(target=serve, args=(app, ours), daemon=True).start()
        given = {**environ, BRIDGE: str(theirs.fileno())}
        return subprocess.run(command, env=given, pass_fds=[theirs.fileno()], check=False).returncode


def take(app: Running, *, has_storages: bool = True) -> None:
    """The bridge that this process was started with; child processes do not inherit it."""
    number = app.environ.get(BRIDGE, "")
    os.environ.pop(BRIDGE, None)
    if number.isdecimal():
        os.set_inheritable(int(number), False)
        app.bridge = Bridge(socket.socket(fileno=int(number)), has_storages=has_storages)


def check_environment(app: Running, name: str) -> None:
    """Raise ConfigError if the environment of an isolated plugin, which this is, lacks what is required since."""
    try:
        app.plugins.check_required()
    except ConfigError as error:
        where = f"{error.message} in the environment of {name}"
        # Named without asking: who has made an isolated environment has this command, beside the host and not in here.
        upgrade = shlex.join(["algo", "plugins", "upgrade", name])
        raise ConfigError(where, f"Make that environment anew: {upgrade}") from None


def storage_elsewhere(app: Running, uri: DataUri) -> Storage | None:
    """The storage of a scheme that no plugin of this process has: from the host, or from an isolated plugin.

    Raises:
        PermissionDenied: if the administrator does not allow that plugin.
    """
    if app.bridge is not None:
        try:
            return app.bridge.storage(uri) if app.bridge.has_storages else None
        except (UsageError, Gone):
            return None
    plugins = isolated.installed(app.environ).values()
    found = next((plugin for plugin in plugins if uri.scheme in plugin.connectors), None)
    if found is None:
        return None
    check_allowed(app, found)
    return _started(app, found).storage(uri)


def _started(app: Running, plugin: isolated.Isolated) -> Bridge:
    """A process in a plugin's environment that serves its storages until this one ends."""
    ours, theirs = socket.socketpair()
    back, forth = socket.socketpair()
    python = isolated.python_of(isolated.place_of(app.environ, plugin.name))
    given = {**app.environ, BRIDGE: str(forth.fileno())}
    chosen = {"ALGO_PROFILE": app.profile_flag} if app.profile_flag else {}
    with theirs, forth:
        subprocess.Popen(
            [python, "-I", "-c", PROGRAM, str(theirs.fileno())],
            env={**given, **chosen},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno(), forth.fileno()],
        )
    threading.Thread(target=serve, args=(app, back), daemon=True).start()
    return Bridge(ours)


def _isolated(app: Running, executable: str) -> isolated.Isolated | None:
    """The isolated plugin whose executable this is."""
    for plugin in isolated.installed(app.environ).values():
        for command in plugin.commands:
            if Path(executable) == isolated.executable_of(app.environ, command):
                return plugin
    return None
