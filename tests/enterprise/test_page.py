"""`docs/enterprise.md`: followed to the letter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from support.environments import ROOT, Environment
from support.pages import Session

from algo_core.testing import Home, Served


def test_the_enterprise_page_is_true(
    jane: Home, acme_environment: Environment, company_platform: Served, archive: Any, company_ca: Any, tmp_path: Path
) -> None:
    (jane.root / ".acme").mkdir()
    (jane.root / ".acme" / "token").write_text(company_platform.key)
    for left_over in archive.directory.iterdir():
        shutil.rmtree(left_over)
    (archive.directory / "march.csv").write_text("day,sum\n1,42\n")
    work = tmp_path / "work"
    work.mkdir()
    environ = {**jane.environ, "PATH": f"{acme_environment.bin}:{jane.environ['PATH']}"}
    session = Session(
        work,
        environ,
        {
            "https://api.acme.example": company_platform.address,
            "https://archive.acme.example/files": archive.address,
            "/etc/ssl/acme-ca.pem": str(company_ca[1]),
            "/etc/xdg/algo/config.toml": str(jane.site_file),
        },
    )
    assert session.follow(ROOT / "docs" / "enterprise.md") > 10
