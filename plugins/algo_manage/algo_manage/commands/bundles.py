"""`algo algorithms export` and `import`: a version in a file, for another platform."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_core.files import replacing
from algo_core.storage.uri import AlgorithmRef
from algo_manage import api
from algo_manage.bundle import MOST_BYTES, Bundle, read_bundle
from algo_manage.commands.publishing import TAIL
from algo_manage.completion import complete_algorithm


@click.command("export")
@click.argument("algorithm", metavar="OWNER/NAME[/VERSION]", shell_complete=complete_algorithm)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write to FILE.")
@pass_app
def export_(app: App, algorithm: str, output: Path | None) -> None:
    """Write a version of an algorithm as a sealed bundle, for 'algo algorithms import'.

    The bundle holds files, texts and settings, but no secrets. Its digest is printed on standard error; 'algo
    algorithms import --sha256 DIGEST' refuses any other bundle.

    \b
    Example:
      algo algorithms export me/Greeter/0.1.0 -o greeter.algo
    """
    if output is None and app.output.is_terminal:
        raise UsageError(
            "A bundle cannot be printed on a terminal", f"Add -o FILE, or: algo algorithms export {algorithm} > FILE"
        )
    ref = api.named(app, algorithm)
    with api.suggesting(app, ref):
        described = _version(app, ref)
        commit = str(api.member(described, "version_info", "git_hash"))
        with app.api.request("GET", api.path_of(ref, "source"), query={"commit": commit}) as response:
            archive = response.read(MOST_BYTES)
    name = f"{api.member(described, 'owner') or ref.owner}/{api.member(described, 'name') or ref.name}"
    bundle = Bundle.of(name, described, _secrets(app, ref), archive)
    if output:
        with replacing(output) as file:
            digest = bundle.write(file)
    else:
        digest = bundle.write(app.output.binary)
    if app.output.is_json and output:
        app.output.json(
            {"algorithm": bundle.algorithm, "version": bundle.version, "sha256": digest, "file": str(output)}
        )
    else:
        app.output.info(f"Exported {bundle.algorithm}/{bundle.version}, sha256:{digest}")


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), metavar="FILE")
@click.argument("algorithm", metavar="[OWNER/NAME]", required=False)
@click.option("--sha256", metavar="DIGEST", help="Refuse a bundle with another digest.")
@click.option("--public", is_flag=True, help="Let everybody call it. Default: the owner only.")
@pass_app
def import_(app: App, file: Path, algorithm: str | None, sha256: str | None, public: bool) -> None:
    """Publish the algorithm in a bundle on this platform; '-' reads standard input.

    Give OWNER/NAME to import it under another name. The version keeps its number where the platform allows that. A
    bundle that was changed is refused.

    \b
    Example:
      algo algorithms import greeter.algo me/Greeter
    """
    bundle = _read(file, sha256)
    ref = api.named(app, algorithm or bundle.algorithm)
    if ref.version or not ref.name:
        raise UsageError(f"Not an algorithm's name: {algorithm!r}", "Write OWNER/NAME, for example me/Greeter")
    _ensure(app, ref, bundle)
    commit = _uploaded(app, ref, bundle)
    built = api.send(app, "POST", api.path_of(ref, "compile"), {"commitSha": commit}, read_timeout=api.BUILD_SECONDS)
    if not api.member(built, "compilation", "successful"):
        told = "\n".join(str(api.member(built, "compilation", "output")).strip().splitlines()[-TAIL:])
        raise AlgoError(f"The build of {ref} failed\n{told}", f"The whole log: algo builds logs {ref}")
    body = {
        "version_info": {"version_type": _kind(bundle.version), "semantic_version": bundle.version, **bundle.texts},
        "settings": {"algorithm_callability": "public" if public else "private"},
    }
    found = api.send(app, "POST", api.path_of(ref, "versions"), body)
    version = api.member(found, "version_info", "semantic_version")
    if app.output.is_json:
        app.output.json({"algorithm": str(ref), "version": version, "secrets": list(bundle.secrets)})
        return
    app.output.print(f"Published {ref}/{version}")
    api.tell_if_private(app, ref, found)
    for name in bundle.secrets:
        app.output.info(f"It expects a secret: algo secrets set {ref} {name}")


def _version(app: App, ref: AlgorithmRef) -> Any:
    """The object of the version that is meant: the newest without a number."""
    if not ref.version:
        found = app.api.get_json(api.path_of(ref))
        if api.member(found, "version_info", "semantic_version"):
            return found
        raise NotFoundError(f"{ref} has no version", f"Publish one with: algo algorithms publish {ref}")
    for entry in api.pages(app, api.path_of(ref, "versions")):
        if ref.version in (api.member(entry, "version_info", name) for name in ("semantic_version", "git_hash")):
            return entry
    plain = ref._replace(version=None)
    raise NotFoundError(f"{plain} has no version {ref.version}", f"List them with: algo algorithms versions {plain}")


def _secrets(app: App, ref: AlgorithmRef) -> tuple[str, ...]:
    try:
        found = app.api.get_json(api.path_of(ref, "secrets"))
    except AlgoError:  # a platform without
        return ()
    return tuple(sorted(str(api.member(entry, "secret_key")) for entry in api.entries(found)))


def _read(file: Path, digest: str | None) -> Bundle:
    if str(file) == "-":
        return read_bundle(sys.stdin.buffer, digest)
    try:
        with file.open("rb") as opened:
            return read_bundle(opened, digest)
    except OSError as error:
        raise AlgoError(f"Cannot read {file}: {error.strerror}") from error


def _ensure(app: App, ref: AlgorithmRef, bundle: Bundle) -> None:
    """Make the algorithm, or give the one that exists the bundle's texts and settings."""
    said = {"details": dict(bundle.details), "settings": dict(bundle.settings)}
    try:
        app.api.get_json(api.path_of(ref))
    except NotFoundError:
        defaults = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
        said = {"details": {"label": ref.name, **bundle.details}, "settings": {**defaults, **bundle.settings}}
        api.send(app, "POST", f"algorithms/{ref.owner}", {"name": ref.name, **said})
    else:
        api.send(app, "PUT", api.path_of(ref), said)


def _uploaded(app: App, ref: AlgorithmRef, bundle: Bundle) -> str:
    from algo_manage.upload import upload_archive

    return upload_archive(app, ref, io.BytesIO(bundle.source), f"Imported {bundle.algorithm}/{bundle.version}")


def _kind(version: str) -> str:
    """What is new about a version by its number, for platforms that count by themselves."""
    parts = version.split(".")
    return "major" if parts[1:] == ["0", "0"] else "minor" if parts[-1] == "0" else "revision"
