"""Finds the storage of a URI by its scheme, among the plugins' connectors.

Some stores are reached through the platform, some directly from this machine.

A person configures one in `config.toml`; a platform stores the options itself and calls `open_store`. In both cases the
plugin is found here, so that no plugin imports another.

    [connectors.s3]                      # s3:// is the platform's connector unless `direct` says otherwise
    direct = true
    endpoint_url = "https://minio.example:9000"

    [connectors.archive]                 # archive://PATH, over any protocol that a connector plugin knows
    protocol = "sftp"
    host = "archive.example"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from algo_core.errors import ConfigError, UsageError
from algo_core.plugins.types import ANY_SCHEME
from algo_core.storage.contract import Storage
from algo_core.storage.uri import HOSTED, LOCAL, DataUri

if TYPE_CHECKING:
    from algo_core.plugins.index import PluginRecord
    from algo_core.plugins.manager import Plugins
    from algo_core.settings.config import Config

TABLE = "connectors"
"""The table of config.toml that holds one table for each connector."""


class Host(Protocol):
    """The part of the running `App` that opening a storage needs; it is passed to the plugin."""

    @property
    def config(self) -> Config:
        """The configuration."""

    @property
    def plugins(self) -> Plugins:
        """The installed plugins."""


def open_storage(host: Host, uri: DataUri) -> Storage:
    """Open the storage that a plugin has registered for a URI's scheme (the hook `algo_connectors`).

    A scheme that is claimed for the platform is opened there, unless `[connectors.SCHEME]` says `direct = true`; one
    that is claimed only directly, or described in that table, is opened from this machine (`open_from_here`).

    Raises:
        UsageError: if there is none, or several plugins claim the scheme.
        ConfigError: if the table is wrong, or does not fit the store.
        PluginError: if the plugin's function cannot be loaded.
    """
    claims = [
        (record, target)
        for record in host.plugins.allowed
        for scheme, target, _, labels, direct in record.connectors
        if scheme == uri.scheme and (labels or not uri.label) and not direct
    ]
    if uri.scheme not in {HOSTED, LOCAL} and (storage := open_from_here(host, uri, elsewhere=bool(claims))):
        return storage
    if not claims:
        raise UsageError(f"No connector is installed for {uri.connector}://", _who_could(host, uri))
    record, target = only_claim(uri.scheme, claims)
    opened: Storage = host.plugins.load_target(record, target)(host, uri)
    return opened


def is_claimed(host: Host, uri: DataUri) -> bool:
    """Whether a plugin here, or a table of the configuration, has a scheme."""
    if uri.is_local or any(row[0] == uri.scheme for record in host.plugins.allowed for row in record.connectors):
        return True
    return bool(options_of(host.config, uri.connector))


def _who_could(host: Host, uri: DataUri) -> str:
    """The hint for an unknown scheme: its plugin is disabled, the name is misspelt, or it must be configured."""
    from difflib import get_close_matches

    if why := host.plugins.why_no_scheme(uri.scheme):
        return why
    claimed = {row[0] for record in host.plugins.allowed for row in record.connectors}
    known = sorted(claimed - {ANY_SCHEME})
    if not known:
        return f"Install the standard plugins: `{host.plugins.to_install('algo-data', 'algo-connectors')}`"
    if close := get_close_matches(uri.scheme, known, n=1, cutoff=0.6):
        return f"Did you mean {close[0]}://?"
    listed = f"Known schemes: {', '.join(f'{scheme}://' for scheme in known)}"
    if ANY_SCHEME not in claimed:
        return listed
    explained = host.plugins.suggested("uris")
    how = f"; add others in config.toml as [{TABLE}.{uri.connector}] with a protocol"
    return f"{listed}{how}" + (f": {explained}" if explained else "")


def only_claim(scheme: str, claims: Sequence[tuple[PluginRecord, str]]) -> tuple[PluginRecord, str]:
    """The one claim to a scheme.

    Raises:
        UsageError: if there are several.
    """
    if len(claims) > 1:
        names = ", ".join(record.dist for record, _ in claims)
        raise UsageError(
            f"Several plugins claim {scheme}://: {names}",
            f"Disable all but one, for example: `algo plugins disable {claims[-1][0].dist}`",
        )
    return claims[0]


def open_from_here(host: Host, uri: DataUri, *, elsewhere: bool) -> Storage | None:
    """The storage of a URI that is opened from this machine, else None.

    `elsewhere` says that the platform can open it as well: then only a table with `direct = true` leads here.

    Raises:
        ConfigError: if the URI's table is wrong, or its options do not fit the store.
        UsageError: if several plugins claim its protocol.
    """
    options = options_of(host.config, uri.connector)
    direct, protocol = options.pop("direct", None), options.pop("protocol", None)
    if direct is False or (elsewhere and not direct and not protocol):
        return None
    if protocol is None and not _claims(host.plugins, uri.scheme, labelled=bool(uri.label)):
        return None
    return open_store(host.plugins, protocol or uri.scheme, options)


def open_store(plugins: Plugins, scheme: str, options: Mapping[str, Any]) -> Storage:
    """Open a store with these options only, with the plugin that claims its scheme directly.

    Raises:
        ConfigError: if no plugin does, or the options do not fit the store, or what it needs is not installed.
        UsageError: if several plugins do.
    """
    claims = _claims(plugins, scheme) or _claims(plugins, ANY_SCHEME)
    if not claims:
        raise ConfigError(
            f"No installed plugin can open {scheme}:// directly",
            f"Install one: {plugins.to_install('algo-connectors')}",
        )
    record, target = only_claim(scheme, claims)
    storage: Storage = plugins.load_target(record, target)(scheme, dict(options))
    return storage


def check_scheme(plugins: Plugins, scheme: str) -> None:
    """See that a store of this scheme can be opened directly, without opening one.

    Raises:
        ConfigError: if no installed plugin opens it, with those that are installed in the hint.
    """
    if _claims(plugins, scheme):
        return
    try:
        open_store(plugins, scheme, {})
    except ConfigError as error:
        schemes = {row[0] for record in plugins.allowed for row in record.connectors if row[4]} - {ANY_SCHEME}
        if schemes:
            error.hint = "\n".join(filter(None, [error.hint, f"Connectors: {', '.join(sorted(schemes))}"]))
        raise


def options_of(config: Config, connector: str) -> dict[str, Any]:
    """The members of `[connectors.CONNECTOR]`: the user's override the administrator's, enforced ones override both.

    Raises:
        ConfigError: if the configuration of connectors has faults.
    """
    found: dict[str, Any] = {}
    if config.is_empty:
        return found
    from algo_core.settings.repair import check

    check(config, lambda fault: TABLE in fault.path or fault.meant == TABLE)
    sites = [layer.table for layer in reversed(config.sites)]
    for source in (*sites, config.user, *(site.get("enforce", {}) for site in sites)):
        found |= source.get(TABLE, {}).get(connector, {})
    return found


def _claims(plugins: Plugins, wanted: str, *, labelled: bool = False) -> list[Any]:
    return [
        (record, target)
        for record in plugins.allowed
        for scheme, target, _, labels, direct in record.connectors
        if scheme == wanted and direct and (labels or not labelled)
    ]
