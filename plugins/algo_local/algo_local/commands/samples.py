"""`algo local samples`: the algorithms of the user's guide, and the photograph for one of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from algo_core import App, pass_app
from algo_core.errors import AlgoError
from algo_core.files import replacing
from algo_core.storage.uri import pasted
from algo_local.algorithms.catalog import SAMPLES
from algo_local.algorithms.directory_publication import Sample, Wish
from algo_local.algorithms.installation.environments import interpreter_of
from algo_local.algorithms.installation.installing import build_environment
from algo_local.algorithms.progress import told_regularly
from algo_local.algorithms.registry import Version, parse_version
from algo_local.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from algo_local.platform import Platform

PHOTOGRAPH = "friends.jpg"
"""The photograph of the guide."""


class _Sample(NamedTuple):
    owner: str
    name: str
    version: str
    input: str
    """An input, as JSON."""


_SAMPLES = (
    _Sample("nlp", "LDA", "1.0.0", '{"docsList": ["apple picking season", "ripe apples"]}'),
    _Sample("dlib", "FaceDetection", "0.2.1", '{"images": [{"url": "data://.my/img_directory/friends.jpg"}]}'),
)
"""The algorithms that the guide calls, besides demo/Hello, which every platform has."""

_PORTRAIT = """
import io, sys
from PIL import Image
from skimage import data
photograph = io.BytesIO()
Image.fromarray(data.astronaut()).save(photograph, "JPEG", quality=92)
sys.stdout.buffer.write(photograph.getvalue())
"""
"""Writes the portrait of Eileen Collins, by NASA and in the public domain, that comes with scikit-image."""


@click.command()
@click.argument("names", metavar="[LDA|FaceDetection]...", nargs=-1, type=click.Choice([one.name for one in _SAMPLES]))
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Directory for the photograph. Default: the current one.",
)
@pass_app
def samples(app: App, names: tuple[str, ...], directory: Path) -> None:
    """Publish the algorithms of the user's guide.

    They are nlp/LDA/1.0.0 and dlib/FaceDetection/0.2.1, whose packages come from the package index (some 600 MB). The
    photograph that the guide has faces detected in is written to friends.jpg.

    \b
    Examples:
      algo local samples
      algo local samples LDA
    """
    from algo_local.opening import open_platform

    every = app.output.info if app.verbose or app.output.shows_progress else None
    wanted = [one for one in _SAMPLES if not names or one.name in names]
    platform = open_platform(State.of())
    published: list[tuple[_Sample, bool]] = []
    photograph: Path | None = None
    try:
        platform.check_writable()
        for one in wanted:
            with told_regularly(every, app.output.info) as report:
                version, is_new = _published(platform, one, report)
            published.append((one, is_new))
            _tell(app, one, is_new=is_new)
            if one.name == "FaceDetection":
                photograph = _photograph(app, version, directory / PHOTOGRAPH)
    finally:
        platform.close()
    if app.output.is_json:
        found = [{"algorithm": f"{one.owner}/{one.name}", "version": one.version, "new": new} for one, new in published]
        app.output.json({"algorithms": found, "photograph": str(photograph) if photograph else None})
    else:
        _tell_what_next(app, wanted, photograph)


def _published(platform: Platform, one: _Sample, report: Callable[[str], None]) -> tuple[Version, bool]:
    """A sample's version, and whether it is new."""
    known = platform.registry.algorithm(one.owner, one.name)
    number = parse_version(one.version)
    there = [version for version in platform.registry.versions(known) if version.number == number] if known else []
    if there and there[0].build.python.exists():
        return there[0], False
    return platform.publish_directory(
        SAMPLES / one.name,
        one.owner,
        one.name,
        Wish(one.version),
        try_it=lambda build, known: Sample(one.input),  # the photograph is not hosted yet
        report=report,
    )


def _photograph(app: App, version: Version, path: Path) -> Path:
    """Write the photograph, from a package in the detector's environment, unless the file exists."""
    if path.exists():
        app.output.info(f"{path} exists, and stays as it is")
        return path
    command = [interpreter_of(version.build.python).program, "-I", "-B", "-c", _PORTRAIT]
    done = subprocess.run(command, capture_output=True, env=build_environment(), check=False)
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise AlgoError(f"The photograph cannot be made: {said}", "Give any photograph of people this name instead")
    with replacing(path) as file:
        file.write(done.stdout)
    return path


def _tell(app: App, one: _Sample, *, is_new: bool) -> None:
    if not app.output.is_json:
        text = f"{one.owner}/{one.name}/{one.version}"
        app.output.print(f"Published {text}" if is_new else f"{text} is published already")


def _tell_what_next(app: App, wanted: list[_Sample], photograph: Path | None) -> None:
    app.output.info("Try:")
    for one in wanted:
        if photograph and one.name == "FaceDetection":
            app.output.info("  algo mkdir .my/img_directory")
            app.output.info(f"  algo cp {pasted(photograph)} data://.my/img_directory")
        app.output.info(f"  algo run {one.owner}/{one.name}/{one.version} -j '{one.input}'")
