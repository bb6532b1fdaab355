"""`algo freeze`: fixes the files of an algorithm's models (API section 8.7)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError
from algo_core.files import replacing

if TYPE_CHECKING:
    from algo_core.storage.uri import DataUri


@click.command()
@click.argument(
    "directory", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@pass_app
def freeze(app: App, directory: Path) -> None:
    """Record the checksum of each file that an algorithm's models need.

    model_manifest.json in DIR (default: the current directory) lists the
    files. The result, model_manifest.json.freeze, belongs to the
    algorithm's sources: with it the ADK refuses to load a file with
    "fail_on_tamper" that was changed since.

    \b
    Example:
      algo freeze ./greeter
    """
    from algo_manage import manifest

    path, frozen_path = directory / manifest.MANIFEST, directory / manifest.FROZEN
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        where = "the working directory" if directory == Path() else str(directory)
        raise NotFoundError(f"There is no {manifest.MANIFEST} in {where}", manifest.EXAMPLE) from None
    plan = manifest.read(content, str(path))
    for name, meant in manifest.misspelt(plan):
        app.output.warn(f"{path}: {name} means nothing to an algorithm; did you mean {meant}?")
    sources = {file["name"]: manifest.source_of(file) for _, file in manifest.files_of(plan)}
    with app.output.progress("Reading models", unit="bytes") as progress:

        def md5(file: dict[str, Any]) -> str:
            return _md5(app, file["name"], sources[file["name"]], progress.advance)

        frozen = manifest.freeze(plan, md5, time.time())
    with replacing(frozen_path) as file:
        file.write(json.dumps(frozen).encode("ascii"))
    if app.output.is_json:
        app.output.json({"path": str(frozen_path), "manifest": frozen})
        return
    for _, entry in manifest.files_of(frozen):
        app.output.line(entry["md5_checksum"], entry["name"], entry["source_uri"])
    app.output.info(f"Wrote {frozen_path}")


def _md5(app: App, name: str, uri: DataUri, read: Any) -> str:
    from algo_manage.manifest import md5_of

    try:
        return md5_of(app.storage(uri), uri, read)
    except AlgoError as error:
        error.message = f"{name}: {error.message}"
        if isinstance(error, NotFoundError) and not error.hint:
            from algo_core.storage.uri import pasted

            error.hint = f"See what there is with: algo ls {pasted(uri.parent)}"
        raise
