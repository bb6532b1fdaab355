"""Hints for failures of the engine, as commands or options of this plugin."""

from __future__ import annotations

from algo_core.errors import AlgoError
from algo_core.storage.uri import DataUri, pasted
from algo_data.engine import failures
from algo_data.hosted.api_path import how_to_make


def advice_for(error: AlgoError) -> str | None:
    """The hint for a failure, or None."""
    match error:
        case failures.SourceIsFile():
            return "Copy it with: algo cp"
        case failures.SourceIsDirectory():
            return f"Copy it with its content: algo cp -r {pasted(error.uri)} DEST"
        case failures.SourceIsLink():
            return "Move that directory itself; or copy with algo cp -r, which follows links, and remove the link"
        case failures.DirectoryLoop():
            return "Leave it out with --exclude"
        case failures.InputHasNoName():
            return f"Name the file: {error.directory.child('NAME')}"
        case failures.InputHasNoTime():
            return "Leave out --update"
        case failures.SeveralToOutput():
            return "Print several with: algo cat"
        case failures.HoldsNoFiles():
            return "Files go into a collection: data://.my/COLLECTION/FILE"
        case failures.MissingDirectory():
            return _missing(error)
        case failures.NoFolders():
            return _no_folders(error)
        case failures.InTheWay():
            return (
                "Let sync remove it with --delete, or remove it yourself: "
                f"{_removal(error.uri, of_directory=error.of_directory)}"
            )
        case failures.StaysInTheWay():
            return f"Move it away, or remove it: {_removal(error.uri, of_directory=error.of_directory)}"
        case failures.NoSuchName():
            return "Copy it alone, under a new name: algo cp SOURCE FILE"
        case failures.StoredDamaged(is_removed=True):
            return "Try again; if it happens again, a proxy changes the data. --no-check copies without comparing"
        case failures.StoredDamaged():
            target = pasted(str(error.target))
            return f"Try again, or remove it: algo rm {target}. --no-check copies without comparing"
    return None


def _missing(error: failures.MissingDirectory) -> str:
    uri = error.uri
    if not error.can_exist:
        return f"{uri.parent} holds files only: copy to it, or to a file in it"
    return f"Make it with: mkdir -p {pasted(uri)}" if uri.is_local else how_to_make(uri)


def _no_folders(error: failures.NoFolders) -> str:
    files, into = pasted(str(error.source).rstrip("/") or "/"), pasted(error.into)
    before = f"algo mkdir -p {into} && " if error.may_be_missing else ""
    return (
        f"Copy all files of the tree directly into it: {before}algo cp -r --flatten {files} {into}; "
        f"or only those at the top: {before}algo cp --flatten --exclude '*/' {files} {into}; "
        "or copy to a connector that supports directories, such as s3://; or pack the tree into one file"
    )


def _removal(uri: DataUri, *, of_directory: bool) -> str:
    """The command that removes it."""
    operand = str(uri)
    if uri.is_local and not operand.startswith(("/", "./", "../", "~/", "file:")):
        operand = f"./{operand}"
    return f"algo rm {'' if of_directory else '-r '}{pasted(operand)}"
