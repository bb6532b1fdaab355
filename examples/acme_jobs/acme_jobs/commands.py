"""`algo acme jobs`: files that wait in a queue, a directory of the archive."""

from __future__ import annotations

import click

from algo_core import App, pass_app
from algo_core.errors import NotFoundError
from algo_core.storage.uri import DataUri, parse_data_uri


def queue_of(app: App) -> DataUri:
    """The directory of the queue that is set."""
    return parse_data_uri(f"acme://queues/{app.setting('acme.queue').value}")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@pass_app
def submit(app: App, files: tuple[str, ...]) -> None:
    """Put files into the queue that the setting acme.queue names.

    \b
    Example:
      algo acme jobs submit march.csv
    """
    queue = queue_of(app)
    summary = app.copy(files, str(queue))
    if app.output.is_json:
        app.output.json({"queue": str(queue), "files": summary.copied, "bytes": summary.bytes})
    else:
        app.output.print(f"Submitted to {queue}: {summary.copied}")


@click.command("list")
@pass_app
def list_jobs(app: App) -> None:
    """List the files in the queue that the setting acme.queue names.

    \b
    Example:
      algo acme jobs list --json
    """
    queue = queue_of(app)
    try:
        entries = [entry for entry in app.storage(queue).list(queue) if not entry.is_directory]
    except NotFoundError:
        entries = []
    if app.output.is_json:
        app.output.json([{"file": entry.uri.name, "bytes": entry.size} for entry in entries])
    else:
        app.output.table(["Bytes", "File"], [[entry.size, entry.uri.name] for entry in entries])
