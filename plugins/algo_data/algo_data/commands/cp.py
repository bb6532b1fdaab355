"""`algo cp`: copy files between hosted data, connectors and this machine."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_core.storage import Storage
from algo_core.uri import DataUri, parse_data_uri
from algo_data.engine import Options, run
from algo_data.engine.planner import plan
from algo_data.engine.streams import STREAM
from algo_data.globs import has_magic
from algo_data.operands import paths_argument, standard_streams
from algo_data.progress import progress_for
from algo_data.transfers import TransferReport


@click.command()
@paths_argument("source", required=True)
@paths_argument("dest", required=True, nargs=1)
@pass_app
def cp(app: App, source: tuple[str, ...], dest: str) -> None:
    """Copy files to DEST: a name for one, a directory for several.

    Hosted data is written data://.my/... or .my/..., connectors s3://..., anything else is a local path, and - is
    standard input or output. An existing file is replaced, and only by a whole one. Wildcards (* ? [...]) work on both
    sides; quote those for hosted data.

    \b
    Examples:
      algo cp ./friends.jpg data://.my/img_directory
      algo cp 'data://.my/img_directory/*.png' ./pictures
      algo cp data://.my/a/big.csv s3://bucket/big.csv
      pg_dump | algo cp - data://.my/backup/today.sql
    """
    sources, destination = [_parse(path) for path in source], _parse(dest)
    if destination == STREAM and app.output.is_json:
        raise UsageError("Standard output cannot carry both the file and JSON", "Leave out --json")
    streams = standard_streams(app)

    def storage_of(uri: DataUri) -> Storage:
        return streams if uri == STREAM else app.storage(uri)

    for uri in (*sources, destination):
        storage_of(uri)  # a scheme that nothing can open stops everything before anything is done
    is_alone = len(sources) == 1 and not has_magic(sources[0])
    with progress_for(app, stdout_has_content=destination == STREAM) as progress:
        report = TransferReport(app, progress, is_alone=is_alone)
        transfers = plan(sources, destination, storage_of, report.failed)
        run(transfers, report, Options(tries=int(app.config.get("retries").value)))
    report.finish()


def _parse(path: str) -> DataUri:
    return STREAM if path == "-" else parse_data_uri(path)
