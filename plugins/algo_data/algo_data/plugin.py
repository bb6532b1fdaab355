"""The plugin's hooks: data commands, and the storages of hosted data, connectors and local files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_core import Command, Connector, Service, hookimpl

if TYPE_CHECKING:
    from algo_core import AlgoError

_GROUP = "Data"


def _command(name: str, text: str, example: str = "", role: str = "") -> Command:
    return Command(name, f"algo_data.commands.{name}:{name}", text, _GROUP, example=example, role=role)


def _on_platform(scheme: str, text: str) -> Connector:
    return Connector(scheme, "algo_data.hosted.storage:open_hosted", text, labels=scheme != "data")


@hookimpl
def algo_commands() -> list[Command]:
    """The commands of this plugin."""
    return [
        _command("ls", "List hosted data, connectors and local directories.", "algo ls .my/pictures", "try"),
        _command(
            "cp",
            "Copy files and directories to, from and within hosted data.",
            "algo cp friends.jpg data://.my/pictures",
        ),
        _command("mv", "Move files and directories."),
        _command("sync", "Make a directory the same as another."),
        _command("cat", "Print the content of files."),
        _command("mkdir", "Make directories.", "algo mkdir .my/pictures"),
        _command("rm", "Remove files, and directories with -r."),
        _command("rmdir", "Remove directories."),
        _command("du", "Show the total size of files."),
        _command("stat", "Show metadata of files and directories."),
        _command("share", "Print links to files that need no credential."),
        _command("acl", "Show and change who may read a collection."),
        Command(
            "help uris",
            "algo_data.commands.uris:uris",
            "Data URIs and local paths.",
            _GROUP,
            role="uris",
        ),
    ]


@hookimpl
def algo_connectors() -> list[Connector]:
    """The schemes of API section 4.2, reached through the platform, and the local file system."""
    return [
        _on_platform("data", "Hosted data."),
        _on_platform("s3", "Amazon S3, as connected to the platform."),
        _on_platform("azureblob", "Azure Blob Storage, as connected to the platform."),
        _on_platform("gs", "Google Cloud Storage, as connected to the platform."),
        _on_platform("dropbox", "Dropbox, as connected to the platform."),
        Connector("file", "algo_data.local.storage:open_local", "The local file system."),
    ]


@hookimpl
def algo_services() -> list[Service]:
    """`App.copy`."""
    return [Service("copy", "algo_data.service:copy")]


@hookimpl
def algo_error_hints(error: AlgoError) -> str | None:
    """Advice for failures of the engine."""
    from algo_data.reporting.advice import advice_for

    return None if error.hint else advice_for(error)
