"""What this plugin adds to `algo`. It is loaded often: import nothing heavy here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_core import PluginSetting, Profile, hookimpl

if TYPE_CHECKING:
    from algo_core import App
    from algo_core.settings.credentials import Credential

ALGO_API = ">=1.1,<2"

TABLE = "acme-company"
"""The table of the settings in configuration files."""

ADDRESS = "https://api.example"
"""The company's platform, unless the setting `address` names another."""

TOKEN_FILE = "~/.acme-company-token"
"""Where the company's login leaves its token, unless the setting `token_file` names another file."""


@hookimpl
def algo_settings() -> list[PluginSetting]:
    """Settings, which an administrator can change or enforce."""
    return [
        PluginSetting(f"{TABLE}.address", "address of the company's platform", default=ADDRESS),
        PluginSetting(f"{TABLE}.token_file", "file in which the login leaves its token", default=TOKEN_FILE),
    ]


@hookimpl
def algo_default_profile(name: str, app: App) -> Profile | None:
    """The company's platform, for everybody who has configured no other."""
    if name != "default":
        return None
    return Profile(name, app.setting(f"{TABLE}.address").value, origin="acme-company")


@hookimpl
def algo_credentials(profile: Profile, app: App) -> Credential | None:
    """The token that the company's login left on this machine, for the company's platform only."""
    if profile.address != app.setting(f"{TABLE}.address").value:
        return None
    from acme_company.company import token

    return token(app.setting(f"{TABLE}.token_file").value)
