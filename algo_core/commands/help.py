"""`algo help`: a command's help, or a topic."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import EXIT_CODES
from algo_core.settings.config import SETTINGS

VARIABLES = {
    "ALGORITHMIA_API_KEY": "API key; overrides the profile's unless --profile is given",
    "ALGORITHMIA_BEARER_TOKEN": "bearer token, if there is no API key",
    "ALGORITHMIA_API": "the API's address; overrides the profile's unless --profile is given",
    **{setting.variable: setting.help for setting in SETTINGS.values() if setting.variable},
    "ALGO_CONFIG_DIR": "directory of config.toml",
    "ALGO_SITE_CONFIG": "an additional administrator's configuration file",
    "ALGO_CACHE_DIR": "directory of the plugin index",
    "ALGO_DATA_DIR": "directory of isolated plugins and, by default, the embedded platform's state",
    "ALGO_LOCAL_ROOT": "directory of the embedded platform's state",
    "ALGO_LOCAL_SANDBOX": "run algorithms in a sandbox (bubblewrap): auto, required or off",
    "ALGO_LOCAL_SANDBOX_PATHS": "additional paths visible in the sandbox, such as /data/models:/scratch=rw",
    "ALGO_LOCAL_MEMORY, ALGO_LOCAL_FILE_SIZE": "limits of memory per process and of file size, such as 2G",
    "ALGO_LOCAL_PROCESSES, ALGO_LOCAL_OPEN_FILES": "limits of processes and threads per algorithm, and of open files",
    "REQUESTS_CA_BUNDLE": "CA bundle for profiles that name no CA of their own",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "proxies",
    "NO_COLOR": "no colours",
}
"""Environment variables, and what they are for."""

_URIS = """\
data://OWNER/COLLECTION/FILE   hosted data; .my is your own account: data://.my/pictures/a.jpg
.my/pictures/a.jpg             the same: data:// may be left out before .my, .algo and .session
data://.algo/OWNER/NAME/temp/  data that an algorithm stores for you
s3://BUCKET/KEY, s3+label://…  a connector of the platform; also azureblob, gs, dropbox. From this machine instead:
                               algo config set connectors.s3.direct true
archive://PATH                 any other store configured in config.toml: [connectors.archive], protocol = "sftp"
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
    "uris": ("Data URIs and local paths.", lambda: _URIS),
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
