"""`algo local dev`: serves an algorithm's directory during development."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from algo_core import App, pass_app
from algo_core.plugins.types import DirectoryRun
from algo_core.terminal.options import Number
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.metadata.keys import Key
    from algo_local.platform import Platform

PORT = 8081
"""The port of `algo local dev`, so that its address stays the same."""

KEY_SECONDS = 24 * 3600.0
"""How long the key of a server is valid that is killed before it can revoke it."""

_LABEL = "algo local dev"


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--watch", is_flag=True, help="Build as soon as a file changes, not at the next call.")
@click.option(
    "--port", type=Number(0, 65535), default=PORT, show_default=True, help="Port to listen on; 0 chooses a free one."
)
@pass_app
def dev(app: App, directory: str, watch: bool, port: int) -> None:
    """Serve an algorithm's directory as it stands, until interrupted.

    Each call runs the files as they are then; what the algorithm prints, and its errors, are shown here. The key in the
    printed commands may call this algorithm only, and ends with the server.

    \b
    Example:
      algo local dev ./my_algorithm --watch
    """
    from algo_local.execution.development_executor import DevelopmentExecutor
    from algo_local.opening import open_platform
    from algo_local.serving.development import Development
    from algo_local.serving.processes.process_setup import prepare_process
    from algo_local.serving.serve import serve_until_signal

    prepare_process()
    shown = Lines(app)
    platform = open_platform(State.of(), DevelopmentExecutor)
    platform.check_writable()
    run = DirectoryRun(directory, report=app.output.log if app.verbose else None, on_output=shown.add)
    served = Development(platform, run._replace(on_delay=app.output.info), app.output.log)
    key, secret = _new_key(platform, served.names)

    def ready(address: str) -> None:
        _tell(app, address, served.names, secret)
        served.refreshed()
        if watch:
            served.watch()

    try:
        serve_until_signal(
            platform, "127.0.0.1", port, tls=None, say=app.output.info, interceptor=served.answer, on_ready=ready
        )
    finally:
        served.close()
        platform.keys.delete(key)
        platform.close()


def _new_key(platform: Platform, names: tuple[str, str]) -> tuple[Key, str]:
    from algo_local.metadata.keys import Permissions

    permissions = Permissions(allow_algo=True, algo_acl=(f"algo://{'/'.join(names)}/*",))
    expires = time.time() + KEY_SECONDS
    return platform.keys.create(platform.account, _LABEL, permissions=permissions, expires_at=expires)


def _tell(app: App, address: str, names: tuple[str, str], secret: str) -> None:
    reference = "/".join(names)
    url = f"{address}/v1/algo/{reference}"
    variables = f"ALGORITHMIA_API={address} ALGORITHMIA_API_KEY={secret}"
    if app.output.is_json:
        app.output.json({"algorithm": reference, "url": url, "api_key": secret}, indent=None)
    else:
        app.output.print(f"Serving {reference} on {url}")
        app.output.print(
            f"""  curl -d '"x"' -H 'Content-Type: application/json' -H 'Authorization: Simple {secret}' {url}"""
        )
        app.output.print(f"  {variables} algo run {reference} -d x")
    app.output.stdout.flush()


class Lines:
    """Prints the output of algorithms, line by line."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._rest = b""

    def add(self, data: bytes) -> None:
        """Add printed output."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._app.output.log(line.decode("utf-8", "replace"))
