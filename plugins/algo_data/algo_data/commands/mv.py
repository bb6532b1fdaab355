"""`algo mv`: move files and directories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, UsageError
from algo_core.storage.uri import DataUri, parse_data_uri
from algo_data.commands.copying import Flags, carry_out, copy_options, copy_options_of, retry, storages
from algo_data.commands.operands import paths_argument
from algo_data.engine.plan.directories import remove_emptied
from algo_data.engine.plan.planner import plan
from algo_data.engine.plan.tree import OnError
from algo_data.engine.run.moving import when_all_are_known
from algo_data.engine.transfer import UNNAMED, Place, Transfer, Unlisted


@click.command()
@copy_options
@paths_argument("path", required=False, metavar="SOURCE... DEST")
@pass_app
def mv(app: App, /, path: tuple[str, ...], **given: Any) -> None:
    """Move files and directories to DEST.

    Within one local file system, files are renamed. Otherwise each file is copied and verified before its source is
    removed. Sources that could not be moved stay.

    \b
    Examples:
      algo mv data://.my/inbox/a.csv data://.my/done/a.csv
      algo mv './results/*.png' data://.my/pictures
    """
    flags = Flags(**given)
    if flags.retry_failed:
        if path:
            raise UsageError("--retry-failed takes no paths", "Leave out the paths")
        retry(app, flags)
        return
    if len(path) < 2:
        raise UsageError("SOURCE or DEST is missing", "Usage: algo mv SOURCE... DEST")
    if "-" in path:
        raise UsageError("Standard input and output cannot be moved", "Copy them: algo cp")
    *sources, destination = map(parse_data_uri, path)
    for uri in sources:
        if uri.name in UNNAMED:
            message = f"{uri} has no name of its own and cannot be moved"
            raise UsageError(message, "Name the directory itself, or its content")
    storage_of = storages(app)
    for uri in (*sources, destination):
        storage_of(uri)
    trees: list[Place] = []
    stays: set[DataUri] = set()
    summary = flags.summary(app, "moved")
    options = copy_options_of(app, flags, summary, is_recursive=True, removes_sources=True)

    def planned(on_error: OnError) -> Iterator[Transfer]:
        def refused(what: object, error: AlgoError) -> None:
            if isinstance(what, DataUri | Unlisted):
                stays.add(what if isinstance(what, DataUri) else what.source.uri)
            on_error(what, error)

        transfers = plan(sources, destination, storage_of, refused, options, trees.append)
        return transfers if all(uri.is_local for uri in sources) else when_all_are_known(transfers, storage_of)

    with summary:
        finish = carry_out(app, flags, options, planned, summary)
        if not flags.dry_run:
            for tree in trees:
                remove_emptied(tree, options.selection, stays)
        if finish:
            finish()
