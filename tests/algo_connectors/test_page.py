"""`docs/connectors.md`: followed to the letter, with the stores that the tests have started."""

from __future__ import annotations

import io
from pathlib import Path

from support.environments import ROOT
from support.pages import Session
from support.stores import Store

from algo_core.errors import ExitCode
from algo_core.testing import Home

PAGE = "connectors.md"


def test_the_connectors_page_is_true(algo_home: Home, s3: Store, gs: Store, dropbox: Store, tmp_path: Path) -> None:
    tables = "\n".join(store.toml for store in (s3, gs, dropbox))
    algo_home.write_config(f'[profiles.default]\naddress = "local:"\n\n{tables}')
    for store, path in ((s3, "dir/x.png"), (gs, "prefix/z.png")):
        store.open().write(store.uri(path), io.BytesIO(b"content"), 7)
    algo_home.environ["LOGNAME"] = "jane"
    assert algo_home.run("mkdir", ".my/images").code == ExitCode.OK
    environ = {**algo_home.environ, "PATH": f"{algo_home.program.parent}:{algo_home.environ['PATH']}"}
    stands_for = {
        "https://minio.example:9000": s3.options["endpoint_url"],
        "~/.config/algo/config.toml": str(algo_home.config_file),
    }
    work = tmp_path / "work"
    work.mkdir()
    assert Session(work, environ, stands_for).follow(ROOT / "docs" / PAGE) > 8
