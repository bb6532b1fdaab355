"""Support for testing plugins. Installing `algo-core[testing]` registers the fixtures with pytest.

| fixture | description |
| --- | --- |
| `algo_home` | a home directory of its own, and `run(...)`, which starts the real `algo` in it (`Home`) |
| `invoke` | `algo_home.run`: `invoke("ls", "--json")` gives a `Result` |
| `algo_platform` | the embedded platform (of `algo-local`) as the profile of `algo_home`; `serve()` (`Platform`) |

| function or class | purpose |
| --- | --- |
| `assert_plugin_well_formed(dist)` | fails with all faults of a plugin, in sentences |
| `StorageContract` | tests to inherit: what the data commands rely on in a storage |
"""

from __future__ import annotations

from algo_core.testing.home import SECONDS, Home, Result
from algo_core.testing.platform import Platform, Served
from algo_core.testing.wellformed import assert_plugin_well_formed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algo_core.testing.storage import StorageContract

__all__ = ["SECONDS", "Home", "Platform", "Result", "Served", "StorageContract", "assert_plugin_well_formed"]


def __getattr__(name: str) -> object:
    if name == "StorageContract":  # which imports pytest: the rest does without
        from algo_core.testing.storage import StorageContract

        return StorageContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
