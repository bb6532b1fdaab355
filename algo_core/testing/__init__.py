"""Support for testing plugins. Installing `algo-core[testing]` registers the fixtures with pytest.

| fixture | description |
| --- | --- |
| `algo_home` | a home directory of its own, and `run(...)`, which starts the real `algo` in it (`Home`) |
| `invoke` | `algo_home.run`: `invoke("ls", "--json")` gives a `Result` |
| `algo_clock` | the clock of `algo_home`: waits take no time, and `advance` moves it (`Clock`) |
| `algo_fake_platform` | a platform that records requests and fails on demand, as the profile (`FakePlatform`) |
| `algo_platform` | the embedded platform (of `algo-local`) as the profile of `algo_home`; `serve()` (`Platform`) |

| function or class | purpose |
| --- | --- |
| `assert_plugin_well_formed(dist)` | fails with all faults of a plugin, in sentences |
| `FakePlatform` | a platform of which the test decides everything; faults are in `algo_core.testing.faults` |
| `StorageContract` | tests to inherit: what the data commands rely on in a storage |
"""

from __future__ import annotations

from algo_core.testing.home import SECONDS, Home, Result
from algo_core.testing.platform import Platform, Served
from algo_core.testing.wellformed import assert_plugin_well_formed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algo_core.testing.clock import Clock
    from algo_core.testing.fake import FakePlatform, RecordedRequest
    from algo_core.testing.faults import (
        FakeResponse,
        dropped_connection,
        refused_credential,
        slow_body,
        too_many_requests,
        truncated_body,
    )
    from algo_core.testing.storage import StorageContract

_LATER = {
    "Clock": "clock",
    "FakePlatform": "fake",
    "FakeResponse": "faults",
    "RecordedRequest": "fake",
    "StorageContract": "storage",
    "dropped_connection": "faults",
    "refused_credential": "faults",
    "slow_body": "faults",
    "too_many_requests": "faults",
    "truncated_body": "faults",
}
"""Names whose modules are imported when they are used: what looks at the imports of plugins does without them."""

__all__ = [
    "SECONDS",
    "Clock",
    "FakePlatform",
    "FakeResponse",
    "Home",
    "Platform",
    "RecordedRequest",
    "Result",
    "Served",
    "StorageContract",
    "assert_plugin_well_formed",
    "dropped_connection",
    "refused_credential",
    "slow_body",
    "too_many_requests",
    "truncated_body",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return found
