"""`algo sync`: make a directory the same as another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, UsageError
from algo_core.storage.uri import parse_data_uri
from algo_data.commands.copying import Flags, carry_out, copy_options, copy_options_of, retry, storages
from algo_data.commands.operands import paths_argument
from algo_data.engine.io.spool import Spool
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.conflicts import cleared, may_be_removed
from algo_data.engine.plan.removal import removed
from algo_data.engine.plan.sync import plan_freed, plan_sync
from algo_data.engine.transfer import Place
from algo_data.reporting.report import Report
from algo_data.reporting.summary import Summary
from algo_data.reporting.transfers import SEVERAL, is_read


@click.command()
@click.option("--delete", "deletes", is_flag=True, help="Remove files from DEST that SOURCE does not have.")
@click.option("--checksum", is_flag=True, help="Compare files by checksum instead of time.")
@copy_options
@paths_argument("path", required=False, metavar="SOURCE DEST")
@pass_app
def sync(app: App, /, deletes: bool, checksum: bool, path: tuple[str, ...], **given: Any) -> None:
    """Copy new and changed files from the directory SOURCE to the directory DEST.

    A file has changed if its size differs or it is newer than its copy. DEST is made if missing. With --delete, files
    in DEST that SOURCE does not have are removed at the end, if nothing failed. A directory in place of a file, or a
    file in place of a directory, is an error; --delete removes it.

    \b
    Examples:
      algo sync ./site s3://bucket/site --delete
      algo sync data://.my/results ./results --exclude '*.log'
    """
    flags = Flags(**given)
    if flags.retry_failed:
        if path:
            raise UsageError("--retry-failed takes no paths", "Leave out the paths")
        retry(app, flags)
        return
    if len(path) != 2:
        raise UsageError("algo sync takes one SOURCE and one DEST", "Usage: algo sync SOURCE DEST")
    if "-" in path:
        raise UsageError("Standard input and output are not directories", "Copy them: algo cp")
    if checksum and flags.replaces():
        raise UsageError("--checksum compares content, not times", "Leave out --update and --no-clobber")
    storage_of = storages(app)
    source, target = (Place(storage_of(uri), uri) for uri in map(parse_data_uri, path))
    with flags.summary(app) as summary, Spool() as extras, Spool() as obstructed:
        options = copy_options_of(app, flags, summary, by_checksum=checksum)
        told = (extras.add, options, obstructed.add) if deletes else (None, options, None)
        finish = carry_out(app, flags, options, lambda on_error: plan_sync(source, target, on_error, *told), summary)
        if finish:
            if deletes:
                app.output.warn(f"Nothing was removed from {target} because some transfers failed")
            finish()
        removal = _Removal(app, summary, is_dry=flags.dry_run)
        if obstructed.count:
            _clear_the_way(app, flags, source, target, options, obstructed, summary, removal)
        removal.tell(removed(extras, target, options.selection, removal.failed, is_dry=flags.dry_run))
        removal.report.finish()


class _Removal:
    """Reports removals."""

    def __init__(self, app: App, summary: Summary, *, is_dry: bool) -> None:
        self.report = Report(app, is_alone=False)
        self._summary = summary
        self._is_dry = is_dry
        self._most = SEVERAL if is_read(app) and not is_dry else None

    def tell(self, places: Iterable[Place]) -> None:
        """Report each as removed, or as to be removed."""
        for place in places:
            self._summary.deleted += 1
            if self._most and self._summary.deleted > self._most:
                continue  # the summary tells how many
            self.report.deleted(place, is_dry=self._is_dry, destination=str(place))

    def failed(self, what: object, error: AlgoError) -> None:
        """Report that something is kept."""
        self.report.failed(what, error)
        self._summary.add_failure(error.message)


def _clear_the_way(
    app: App,
    flags: Flags,
    source: Place,
    target: Place,
    options: CopyOptions,
    obstructed: Spool,
    summary: Summary,
    removal: _Removal,
) -> None:
    """Remove conflicting files and directories, and make the copies; ends the command if anything fails."""
    if not may_be_removed(obstructed, source, target, options.selection, removal.failed):
        app.output.warn(f"Nothing was removed from {target}, because some files in the way must be kept")
        removal.report.finish()
    with Spool() as free:
        removal.tell(cleared(obstructed, free, target, removal.failed, is_dry=flags.dry_run))
        if free.count:
            finish = carry_out(
                app, flags, options, lambda on_error: plan_freed(source, target, on_error, iter(free), options), summary
            )
            if finish:
                finish()
    removal.report.finish()
