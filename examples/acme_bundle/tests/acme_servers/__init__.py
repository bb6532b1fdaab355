"""Acme's servers on the loopback interface: the OpenID provider, the gateway before the platform, and the archive."""

from acme_servers.archive import ArchiveServer
from acme_servers.gateway import Gateway
from acme_servers.login import LoginProvider

__all__ = ["ArchiveServer", "Gateway", "LoginProvider"]
