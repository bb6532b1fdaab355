"""Finds services (`Service`): functions of plugins behind calls of `App`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from algo_core.errors import PluginError
from algo_core.plugins.types import SERVICES

if TYPE_CHECKING:
    from algo_core.plugins.index import PluginRecord
    from algo_core.plugins.manager import Plugins


def service(plugins: Plugins, name: str) -> Any:
    """The function of a service.

    Raises:
        PluginError: if no installed plugin has it, or several have, or the one that has it does not work.
    """
    claims = list(_claims(plugins.allowed, name))
    if not claims:
        dist = SERVICES[name]
        why = plugins.why_no_service(name)
        message = f"app.{name} needs the plugin {dist}, which does not take part" if why else (
            f"app.{name} needs the plugin {dist}, which is not installed")  # fmt: skip
        raise PluginError(message, why or f"Install it with: {plugins.to_install(dist)}")
    if len(claims) > 1:
        names = " and ".join(record.label for record, _ in claims)
        raise PluginError(
            f"Several plugins give app.{name}: {names}",
            f"Leave one out with: algo plugins disable {claims[-1][0].dist}",
        )
    return plugins.load_target(*claims[0])


def _claims(records: Iterable[PluginRecord], name: str) -> Iterator[tuple[PluginRecord, str]]:
    return ((record, target) for record in records for has, target in record.services if has == name)
