"""A store that the tests have started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from algo_connectors.common.opening import open_store
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri


@dataclass(frozen=True, eq=False)
class Store:
    """A store that is running: its scheme, the options that open it, and a directory in it that exists for ever."""

    scheme: str
    options: dict[str, Any]
    root: str

    def open(self, **more: Any) -> Storage:
        return open_store(self.scheme, {**self.options, **more})

    def uri(self, path: str = "") -> DataUri:
        return DataUri(self.scheme, f"{self.root}/{path}".strip("/"))

    @property
    def toml(self) -> str:
        """The table of config.toml that makes the scheme direct."""
        lines = [
            f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
            for name, value in self.options.items()
        ]
        return "\n".join([f"[connectors.{self.scheme}]", "direct = true", *lines, ""])

    @property
    def flags(self) -> list[str]:
        """The options of `algo local connector add`."""
        pairs = [
            f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in self.options.items()
        ]
        return [word for pair in pairs for word in ("--option", pair)]


def s3_call(store: Store, method: str, **arguments: object) -> Any:
    """A request of botocore, for what the storage for `s3://` does not do itself."""
    return store.open(client="s3fs").client.call(method, **arguments)  # type: ignore[attr-defined]  # an S3Storage
