"""`algo help`: a command's help, or a topic."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import EXIT_CODES
from algo_core.settings.config import SETTINGS

VARIABLES = {
    "ALGORITHMIA_API_KEY": "API key; goes before the profile's unless --profile is given",
    "ALGORITHMIA_BEARER_TOKEN": "bearer token, if there is no API key",
    "ALGORITHMIA_API": "the API's address; goes before the profile's unless --profile is given",
    **{setting.variable: setting.help for setting in SETTINGS.values() if setting.variable},
    "ALGO_CONFIG_DIR": "directory of config.toml",
    "ALGO_SITE_CONFIG": "another administrator's file; adds to that of the system",
    "ALGO_CACHE_DIR": "directory of the plugin index",
    "ALGO_DATA_DIR": "directory of the embedded platform's state and of isolated plugins",
    "ALGO_LOCAL_ROOT": "state of the embedded platform",
    "ALGO_LOCAL_SANDBOX": "auto, required or off: whether its algorithms run in a sandbox (bubblewrap)",
    "ALGO_LOCAL_SANDBOX_PATHS": "paths that they see in it as well, such as /data/models:/scratch=rw",
    "ALGO_LOCAL_MEMORY, ALGO_LOCAL_FILE_SIZE": "largest data of each of their processes, largest file; such as 2G",
    "ALGO_LOCAL_PROCESSES, ALGO_LOCAL_OPEN_FILES": "most processes and threads of an algorithm, most open files",
    "REQUESTS_CA_BUNDLE": "CA bundle for profiles that name no CA of their own",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "proxies",
    "NO_COLOR": "no colours",
}
"""Environment variables, and what they are for."""

_URIS = """\
data://OWNER/COLLECTION/FILE   hosted data; .my is your own account: data://.my/pictures/a.jpg
.my/pictures/a.jpg             the same: data:// may be left out before .my, .algo and .session
data://.algo/OWNER/NAME/temp/  what an algorithm has stored for you
s3://BUCKET/KEY, s3+label://…  a connector of the platform; also azureblob, gs, dropbox
./a.jpg, /tmp/a.jpg, file://…  local files; a bare name is local for cp, mv and sync,
                               hosted for ls, cat, rm, mkdir, rmdir, du, stat and acl
-                              standard input or output"""


def _exit_codes() -> str:
    return "\n".join(f"{code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())


def _variables() -> str:
    width = max(map(len, VARIABLES))
    return "\n".join(f"{name.ljust(width)}  {meaning}" for name, meaning in VARIABLES.items())


TOPICS = {
    "exit-codes": ("What the exit codes mean.", _exit_codes),
    "variables": ("Environment variables.", _variables),
    "uris": ("How to write places: data URIs and local paths.", lambda: _URIS),
}
"""What `algo help` explains besides commands: a line about it, and the text."""


@click.command("help")
@click.argument("words", nargs=-1)
@pass_app
def help_command(app: App, words: tuple[str, ...]) -> None:
    """Explain a command, or a topic: exit-codes, variables, uris."""
    root = click.get_current_context().find_root()
    if len(words) == 1 and words[0] in TOPICS:
        app.output.print(TOPICS[words[0]][1]())
        return
    ctx = root
    for word in words:
        group = ctx.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{ctx.command_path} has no subcommands")
        name, command, _ = group.resolve_command(ctx, [word])
        if command is None:
            raise click.UsageError(f"There is no command {word!r}")
        ctx = click.Context(command, info_name=name, parent=ctx)
    app.output.print(ctx.get_help())
    if not words:
        app.output.print("\nTopics: " + ", ".join(f"algo help {topic}" for topic in TOPICS))
