"""`algo local serve`, `status`, `stop` and `reset`."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from algo_core import App, pass_app
from algo_core.errors import NotFoundError, UsageError
from algo_core.terminal.options import Number, yes_option
from algo_core.terminal.prompts import Prompter
from algo_local.commands import disk
from algo_local.commands.naming import filled
from algo_local.paths import state_root
from algo_local.platform import Platform
from algo_local.state import State

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.IGNORECASE)


def complete_executors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of executors, for TAB."""
    from algo_local.execution.factories import names_of_executors

    return [name for name in names_of_executors(App.for_completion(ctx)) if name.startswith(incomplete)]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, callback=filled, help="Interface to listen on.")
@click.option(
    "--port", type=Number(0, 65535), default=8080, show_default=True, help="Port to listen on; 0 chooses a free one."
)
@click.option(
    "--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TLS certificate (PEM file)."
)
@click.option(
    "--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Key of the certificate (PEM file)."
)
@click.option(
    "--insecure-http", is_flag=True, help="Allow other machines, nodes of a cluster as well, to connect without TLS."
)
@click.option(
    "--engine",
    metavar="NAME",
    callback=filled,
    shell_complete=complete_executors,
    help="Run algorithms with the executor NAME of a plugin. Default: on this machine.",
)
@click.option(
    "--ray-address",
    metavar="HOST:PORT",
    callback=filled,
    help="The Ray cluster that runs algorithms, with --engine ray. Default: the setting ray.address.",
)
@click.option(
    "--metadata",
    metavar="URL",
    callback=filled,
    help="Keep accounts, algorithms and calls in the PostgreSQL database at URL, such as postgresql://USER@HOST/DATABASE."
    " Default: ALGO_LOCAL_METADATA, else a file.",
)
@click.option(
    "--objects",
    metavar="URL",
    callback=filled,
    help="Keep the files of hosted data in the object store at URL, such as s3://BUCKET/PREFIX."
    " Default: ALGO_LOCAL_OBJECTS, else a directory.",
)
@click.option(
    "--processes",
    type=Number(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of processes that answer requests; above 1, one more runs the algorithms for all of them.",
)
@click.option("--log", type=click.Choice(["text", "json"]), help="Write a line for each request to standard error.")
@click.option("--log-calls", type=click.Choice(["text", "json"]), help="Write a line for each call of an algorithm.")
@pass_app
def serve(
    app: App,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure_http: bool,
    engine: str | None,
    ray_address: str | None,
    metadata: str | None,
    objects: str | None,
    processes: int,
    log: str | None,
    log_calls: str | None,
) -> None:
    """Serve the platform over HTTP until interrupted.

    Clients need an API key: 'algo local key new OWNER' makes one. Monitors ask /healthz, and with the key of an
    administrator ('key new OWNER --admin') /metrics.

    \b
    Examples:
      algo local serve --port 8080
      algo local serve --processes 4 --log json
    """
    if metadata or objects:
        from algo_local.commands.process_list import hide

        hide(metadata, objects)
    if tls_key and not tls_cert:
        raise UsageError("--tls-key needs --tls-cert", "Give the certificate that belongs to the key")
    if not tls_cert and not insecure_http and not _LOOPBACK.fullmatch(host):
        raise UsageError(
            f"API keys would travel unprotected to {host}",
            "Give --tls-cert and --tls-key, listen on 127.0.0.1, or allow it with --insecure-http",
        )
    if ray_address is not None:
        if engine != "ray":
            raise UsageError("--ray-address needs --engine ray", "Add --engine ray, or leave out --ray-address")
        os.environ["ALGO_RAY_ADDRESS"] = ray_address  # as for processes that this one starts
    if insecure_http:
        os.environ["ALGO_RAY_INSECURE"] = "1"
    _check_settings()
    if engine is None:
        _check_sandbox(app, is_local=bool(_LOOPBACK.fullmatch(host)))
    from algo_local.execution.factories import executor_opener
    from algo_local.execution.ready_workers import workers_kept_ready
    from algo_local.opening import open_platform
    from algo_local.serving.call_log import CallLog
    from algo_local.serving.processes.process_setup import prepare_process
    from algo_local.serving.request_log import RequestLog
    from algo_local.serving.serve import serve_in_processes, serve_until_signal
    from algo_local.worker_updates import review_and_prepare

    prepare_process()
    opener = executor_opener(app, engine) if engine is not None else None
    state = State.of().at(metadata, objects)
    on_answer = RequestLog(app.output.log, log) if log else None
    on_call = CallLog(app.output.log, log_calls) if log_calls else None
    tls = (tls_cert, tls_key) if tls_cert else None
    if processes > 1:
        serve_in_processes(
            processes,
            lambda other: open_platform(state, other or opener),
            *(host, port),
            tls=tls,
            say=app.output.info,
            on_answer=on_answer,
            on_call=on_call,
        )
        return
    with contextlib.closing(open_platform(state, opener)) as platform:
        if engine is not None:
            platform.executor  # noqa: B018 - starts it: what is wrong with it is told before anybody connects
        platform.objects.check()  # what cannot be used is told before anybody connects
        prepare = functools.partial(review_and_prepare, platform)
        with workers_kept_ready(prepare, platform.changed, on_failure=app.output.warn):
            serve_until_signal(
                platform,
                host,
                port,
                tls=tls,
                say=app.output.info,
                on_answer=on_answer,
                on_call=on_call,
            )


def _check_settings() -> None:
    """Refuse variables that mean nothing before anybody connects."""
    from algo_local.execution.limits import Limits
    from algo_local.execution.scaling import Scaling
    from algo_local.serving.processes.heartbeat import hang_seconds

    Limits.of()
    Scaling.of()
    hang_seconds()


def _check_sandbox(app: App, *, is_local: bool) -> None:
    """Refuse a sandbox that cannot be had; warn of what others' algorithms could do."""
    from algo_local.execution.workers.sandbox import WITHOUT, protection

    found = protection(state_root())
    if not found.sandbox and not is_local:
        app.output.warn(f"Algorithms run without a sandbox, since {found.reason}: {WITHOUT}")


@click.command()
@click.option("--cluster", "of_cluster", is_flag=True, help="Show the cluster that runs algorithms instead.")
@pass_app
def status(app: App, of_cluster: bool) -> None:
    """Show the state's directory, contents and disk usage.

    'algo local prune' frees what no version needs.

    \b
    Example:
      algo local status
    """
    if of_cluster:
        from algo_local.commands.cluster import show_cluster

        show_cluster(app, state_root())
        return
    from algo_local.maintenance import describe

    found = describe(Platform(State.of()))
    if app.output.is_json:
        app.output.json(found)
        return
    for name in ("root", "metadata", "objects", "account", "accounts", "keys", "collections"):
        if name in found:
            app.output.print(f"{name:<14} {found[name]}")
    for name, size in found["bytes"].items():
        app.output.print(f"{name.replace('_', ' '):<14} {disk.megabytes(size)}")
    if found["algorithms"]:
        app.output.print("")
        rows = [(entry["name"], ", ".join(entry["versions"])) for entry in found["algorithms"]]
        app.output.table(("Algorithm", "Versions"), rows)
    if found["keeper"]:
        _show_keeper(app, found["keeper"])


def _show_keeper(app: App, keeper: dict[str, Any]) -> None:
    app.output.print("")
    app.output.print(f"Keeper: process {keeper['process']}, running for {keeper['age']:.0f} s")
    rows = [
        (
            *(one["algorithm"], one["build"][:10], str(one["process"]), str(one["calls"])),
            *(f"{one['age']:.0f} s", f"{one['memory'] / 1e6:.0f} MB", f"{one['left']:.0f} s"),
        )
        for one in keeper["workers"]
    ]
    if rows:
        app.output.table(("Algorithm", "Build", "Process", "Calls", "Age", "Memory", "Kept for"), rows)


@click.command()
@pass_app
def stop(app: App) -> None:
    """Stop the algorithms that are kept loaded between commands.

    After a command on the embedded platform they stay loaded for a minute, or as long as ALGO_LOCAL_KEEP_SECONDS says.
    Calls that are running are not affected.

    \b
    Example:
      algo local stop
    """
    from algo_local.execution.workers.keeper import keeper_of

    keeper = keeper_of(state_root())
    found = keeper.status() if keeper else None
    is_stopped = bool(keeper and keeper.stop())
    count = len(found["workers"]) if found and is_stopped else 0
    if app.output.is_json:
        app.output.json({"stopped": is_stopped, "workers": count})
    elif is_stopped:
        app.output.print(f"Ended the keeper and {count} worker{'' if count == 1 else 's'}")
    else:
        app.output.print("No keeper is running")


@click.command()
@yes_option
@click.option(
    "--secrets",
    "only_secrets",
    is_flag=True,
    help="Replace a lost key of secrets, and nothing else; what it has encrypted stays unreadable.",
)
@pass_app
def reset(app: App, yes: bool, only_secrets: bool) -> None:
    """Delete all data, algorithms, accounts and keys.

    With a database server or an object store, the platform's tables and objects there are deleted, and nothing else.

    \b
    Examples:
      algo local reset
      algo local reset --secrets
    """
    from algo_local.backups.tables import DERIVED, KEYS
    from algo_local.maintenance import delete_everything, has_platform, renew_key

    state = State.of()
    if only_secrets:
        if not state.exists:
            raise NotFoundError(f"There is no platform in {state}")
        lost = "all secrets of algorithms and credentials"
        _confirm(
            app, f"Give up {lost} in {state}?", f"This gives up {lost}", "algo local reset --secrets --yes", yes=yes
        )
        renew_key(state)
        app.output.info(f"Secrets in {state} are encrypted with another key from now on; set them again")
        return
    if not (state.metadata or has_platform(state.root)):
        raise NotFoundError(f"There is no platform in {state}", "Name its directory with ALGO_LOCAL_ROOT")
    lost = f"all data, algorithms and keys in {state}"
    _confirm(app, f"Delete {lost}?", f"This deletes {lost}", "algo local reset --yes", yes=yes)
    delete_everything(state, [*KEYS, *DERIVED])
    app.output.info(f"Deleted everything in {state}")


def _confirm(app: App, question: str, refusal: str, confirmed: str, *, yes: bool) -> None:
    """Ask, unless `yes` is true; without a terminal, refuse and name `confirmed`, the command that does not ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(refusal, f"Confirm it with: {confirmed}")
    if not Prompter(app.output).confirm(question):
        raise click.Abort
