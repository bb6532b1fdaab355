"""Where things are at Acme; the administrator's file can move them, in its table `[acme]`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from algo_core.config import Config
from algo_core.errors import ConfigError


@dataclass(frozen=True)
class Company:
    """The platform's address, the archive's, the CA that signs for both, and the file that the log-in leaves."""

    address: str = "https://api.acme.example"
    archive: str = "https://archive.acme.example/files"
    ca_cert: str = str(Path(__file__).with_name("company-ca.pem"))
    token_file: str = "~/.acme/token"

    def token(self) -> str | None:
        """What the log-in has left, or None."""
        try:
            return Path(self.token_file).expanduser().read_text("utf-8").strip() or None
        except OSError:
            return None


def company(environ: Mapping[str, str] = os.environ) -> Company:
    """The company as the administrator's file describes it.

    Raises:
        ConfigError: if the file, or its table `[acme]`, cannot be read.
    """
    config = Config.load(environ)
    table = config.site.get("acme", {})
    known = {field.name for field in fields(Company)}
    if not isinstance(table, dict) or not known >= set(table) or not all(isinstance(v, str) for v in table.values()):
        raise ConfigError(f"[acme] in {config.site_file} may hold {', '.join(sorted(known))}, all texts")
    return Company(**table)
