"""`algo help uris`: the syntax of paths and URIs."""

from __future__ import annotations

import click

from algo_core import App, pass_app

TEXT = """\
data://OWNER/COLLECTION/FILE   hosted data; .my is your own account: data://.my/pictures/a.jpg
.my/pictures/a.jpg             the same: data:// may be left out before .my, .algo and .session
data://.algo/OWNER/NAME/temp/  data that an algorithm stores for you
s3://BUCKET/KEY, s3+label://…  a connector of the platform; also azureblob, gs, dropbox. From this machine instead:
                               algo config set connectors.s3.direct true
archive://PATH                 any other store configured in config.toml: [connectors.archive], protocol = "sftp"
./a.jpg, /tmp/a.jpg, file://…  local files; a bare name is local for cp, mv and sync,
                               hosted for ls, cat, rm, mkdir, rmdir, du, stat, share, acl
-                              standard input or output"""


@click.command()
@pass_app
def uris(app: App) -> None:
    """Data URIs and local paths."""
    app.output.print(TEXT)
