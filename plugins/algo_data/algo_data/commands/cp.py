"""`algo cp`: copy files between hosted data, connectors and this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_core.storage.uri import DataUri, parse_data_uri
from algo_core.terminal.output import CLOSED
from algo_core.text import as_text
from algo_data.commands.copying import Flags, carry_out, copy_options, copy_options_of, retry, storages
from algo_data.commands.operands import paths_argument
from algo_data.engine.io.streams import STREAM
from algo_data.engine.plan.globs import has_magic
from algo_data.engine.plan.planner import plan
from algo_data.local.descriptors import is_stdout


@click.command()
@click.option("-r", "-R", "--recursive", is_flag=True, help="Copy directories and their contents.")
@click.option("--flatten", is_flag=True, help="Put all files directly into DEST; implies -r.")
@click.option(
    "--from-file",
    metavar="LIST",
    multiple=True,
    type=click.UNPROCESSED,
    help="Read the sources from a file, one per line ('-' is standard input); DEST is a directory.",
)
@copy_options
@paths_argument("path", required=False, metavar="SOURCE... DEST")
@pass_app
def cp(
    app: App, /, recursive: bool, flatten: bool, from_file: tuple[str, ...], path: tuple[str, ...], **flagged: Any
) -> None:
    """Copy files and directories to DEST.

    For hosted data write data://.my/... or .my/..., connectors s3://..., anything else is a local path, and - is
    standard input or output. Existing files are replaced atomically. Wildcards (* ? [...], and ** for
    directories of any depth) work on both sides; quote those for hosted data.

    \b
    Examples:
      algo cp ./friends.jpg data://.my/img_directory
      algo cp 'data://.my/img_directory/*.png' ./pictures
      algo cp -r ./site s3://bucket/site --exclude '*.tmp'
      pg_dump | algo cp - data://.my/backup/today.sql
    """
    flags = Flags(**flagged)
    if flags.retry_failed:
        if path or from_file:
            raise UsageError("--retry-failed takes no paths", "Leave out the paths")
        retry(app, flags)
        return
    if from_file and len(path) != 1:
        raise UsageError("--from-file takes only DEST", "Usage: algo cp --from-file LIST DEST")
    if not from_file and len(path) < 2:
        raise UsageError("SOURCE or DEST is missing", "Usage: algo cp SOURCE... DEST")
    *given, destination = map(_parse, path)
    to_stdout = destination == STREAM or is_stdout(destination)
    if to_stdout and app.output.is_json:
        raise UsageError("Standard output cannot carry both the file and JSON", "Leave out --json")
    if to_stdout and app.output.is_closed:
        raise AlgoError(CLOSED)
    if to_stdout and app.output.is_terminal:
        destination = STREAM  # which makes harmless what it shows
    storage_of = storages(app)
    for uri in (*given, destination):
        storage_of(uri)  # a scheme that nothing can open stops everything before anything is done
    summary = flags.summary(app)
    options = copy_options_of(app, flags, summary, is_recursive=recursive or flatten, flattens=flatten)
    sources: Iterable[DataUri] = itertools.chain.from_iterable(map(_listed, from_file)) if from_file else given
    with summary:
        finish = carry_out(
            app,
            flags,
            options,
            lambda on_error: plan(sources, destination, storage_of, on_error, options, are_names=bool(from_file)),
            summary,
            is_alone=len(given) == 1 and not has_magic(given[0]) and not options.is_recursive,
            to_stdout=to_stdout,
        )
        if finish:
            finish()


def _parse(path: str) -> DataUri:
    return STREAM if path == "-" else parse_data_uri(path)


def _listed(path: str) -> Iterator[DataUri]:
    """The paths in a file: one per line, or NUL-separated if its beginning contains a NUL byte."""
    try:
        with as_text(open(0 if path == "-" else path, "rb", closefd=path != "-"), "surrogateescape", "\n") as lines:
            rest, separator = "", ""
            while block := lines.read(1 << 16):
                separator = separator or ("\0" if "\0" in block else "\n")
                *whole, rest = (rest + block).split(separator)
                yield from _parsed(whole)
            yield from _parsed([rest])
    except UnicodeDecodeError as error:
        raise AlgoError(f"{path} is not text: {error.reason}", "Name a file that lists one path per line") from error
    except OSError as error:
        kind = NotFoundError if isinstance(error, FileNotFoundError) else AlgoError
        raise kind(f"{path}: {error.strerror or error}", "Name a file that lists one path per line") from error


def _parsed(lines: Iterable[str]) -> Iterator[DataUri]:
    return (parse_data_uri(text) for line in lines if (text := line.rstrip("\r")))
