"""`docs/enterprise.md`: followed to the letter."""

from __future__ import annotations

import shutil
from pathlib import Path

from acme_servers import ArchiveServer, Gateway, LoginProvider
from support.environments import ROOT, Environment
from support.pages import Session

from algo_core.testing import Home


def test_the_enterprise_page_is_true(
    somebody: Home,
    acme_environment: Environment,
    acme_files: dict[str, str],
    gateway: Gateway,
    archive: ArchiveServer,
    provider: LoginProvider,
    tmp_path: Path,
) -> None:
    shutil.rmtree(archive.directory)
    archive.directory.mkdir()
    (archive.directory / "march.csv").write_text("day,sum\n1,42\n")
    work = tmp_path / "work"
    work.mkdir()
    environ = {**somebody.environ, "PATH": f"{acme_environment.bin}:{somebody.environ['PATH']}"}
    session = Session(
        work,
        environ,
        {
            "https://api.acme.example": gateway.address,
            "https://archive.acme.example/files": archive.address,
            "https://login.acme.example": provider.issuer,
            "/etc/ssl/acme-ca.pem": acme_files["ca_cert"],
            "/etc/acme/machine.pem": acme_files["client_cert"],
            "/etc/acme/signing.key": acme_files["signing_key"],
            "/var/log/acme/algo.jsonl": str(tmp_path / "audit.jsonl"),
            "/etc/xdg/algo/config.toml": str(somebody.site_file),
        },
    )
    with provider.confirming():
        assert session.follow(ROOT / "docs" / "enterprise.md") > 20
