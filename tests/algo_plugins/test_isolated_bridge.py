"""Isolated plugins have what belongs to the host, and the host has their storages; `deny` says denied."""

from __future__ import annotations

import json

from algo_core.errors import ExitCode

STORE = """
from algo_core.errors import NotFoundError
from algo_core.storage.contract import Entry, Kind, Storage

class Store(Storage):
    def __init__(self, app, uri):
        self.app = app

    def stat(self, uri):
        if uri.path != "file":
            raise NotFoundError(f"There is no {{uri}}")
        return Entry(uri, Kind.FILE, 3)

    def open(self, uri, offset=0, *, version=None):
        import io
        reader = io.BytesIO("{text} {{}}".format(self.app.profiles.resolve(None).credential.secret.reveal()).encode())
        reader.entry, reader.offset = self.stat(uri), 0
        return reader

    def list(self, uri):
        return iter(())

    def write(self, uri, source, size=None): ...
    def mkdir(self, uri): ...
    def rmdir(self, uri, *, force=False): ...
    def remove(self, uri): ...
"""

PLUGIN = """
from algo_core import Command, Connector, Profile, hookimpl

@hookimpl
def algo_commands():
    return [Command("{name}", "{package}.commands:run", help="Read a URI.")]

@hookimpl
def algo_connectors():
    return [Connector("{name}", "{package}.store:Store")]
"""

COMPANY = """
@hookimpl
def algo_default_profile(name):
    return Profile("default", "https://company.example")

@hookimpl
def algo_credentials(profile, refused):
    from algo_core.settings.credentials import Credential, Secret

    return Credential("token", Secret("company-token"))
"""

COMMANDS = """
import json, os, sys
import click
from algo_core import pass_app
from algo_core.storage.uri import DataUri

@click.command()
@click.argument("uri")
@pass_app
def run(app, uri):
    '''Read a URI.'''
    scheme, _, path = uri.partition("://")
    reader, buffer = app.storage(DataUri(scheme, path)).open(DataUri(scheme, path)), bytearray(100)
    app.output.print(json.dumps({"prefix": sys.prefix, "read": bytes(buffer[:reader.readinto(buffer)]).decode(),
                                 "environ": [n for n, v in os.environ.items() if "company-token" in v or "BRIDGE" in n]}))
"""


def wheel(house, name: str, more: str = "") -> None:
    package = f"acme_{name}"
    files = {
        f"{package}/__init__.py": "",
        f"{package}/plugin.py": PLUGIN.format(name=name, package=package) + more,
        f"{package}/store.py": STORE.format(text=name),
        f"{package}/commands.py": COMMANDS,
    }
    house.wheel(f"acme-{name}", "1.0", files, ["algo-core"], f"[algo.plugins]\n{name} = {package}.plugin\n")


def test_each_side_has_what_belongs_to_the_other(place, house) -> None:
    wheel(house, "company", COMPANY)
    wheel(house, "tool")
    place.home.config_file.unlink()
    assert place.install("acme-company").code == ExitCode.OK
    result = place.install("--isolated", "acme-tool")
    assert (result.code, "acme_tool" in result.stderr) == (ExitCode.OK, False), result

    result = place.run("tool", "company://file")
    assert result.code == ExitCode.OK, result
    told = json.loads(result.text)
    assert (told["read"], told["environ"]) == ("company company-token", [])
    assert told["prefix"] == str(place.isolated / "acme-tool")
    result = place.run("tool", "company://other")
    assert (result.code, "There is no company://other" in result.stderr) == (ExitCode.NOT_FOUND, True), result

    result = place.run("company", "tool://file")
    assert result.code == ExitCode.OK, result
    assert json.loads(result.text)["read"] == "tool company-token"
    assert json.loads(result.text)["prefix"] == str(place.python.parents[1])
    result = place.run("company", "tool://other")
    assert (result.code, "There is no tool://other" in result.stderr) == (ExitCode.NOT_FOUND, True), result
    for words in (["company", "nobody://x"], ["tool", "nobody://x"]):
        result = place.run(*words)
        assert (result.code, "No connector is installed for nobody://" in result.stderr) == (ExitCode.USAGE, True)

    site = place.home.root / "site.toml"
    site.write_text('[plugins]\nrequire = ["acme-company"]\n')
    result = place.run("tool", "company://file")
    assert result.code == ExitCode.CONFIGURATION, result
    assert "acme-company is required by" in result.stderr
    assert "algo plugins upgrade acme-tool" in result.stderr
    site.write_text('[plugins]\ndeny = ["acme-tool"]\n')
    for words in (
        ["tool", "company://file"],
        ["plugins", "run", "acme-tool", "tool", "x://y"],
        ["company", "tool://file"],
    ):
        result = place.run(*words)
        assert result.code == ExitCode.AUTHENTICATION, result
        assert f"acme-tool 1.0 is denied by {site}" in result.stderr
    rows = {row["distribution"]: row for row in place.run("plugins", "list", "--json").json}
    assert rows["acme-tool"]["status"] == f"denied by {site}"
    assert rows["acme-tool"]["connectors"] == ["tool"]
