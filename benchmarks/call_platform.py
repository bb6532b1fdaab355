"""A served platform with `bench/Echo`, in a process of its own; of this version, or of an older one on PYTHONPATH.

    python benchmarks/call_platform.py DIRECTORY

Prints a key and the address, and serves until it is ended.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ECHO = "def apply(input):\n    return input\n"


def opened(root: Path) -> Any:
    """The platform in a directory."""
    try:
        from algo_local.opening import open_platform
    except ImportError:  # the older one
        from algo_local.web import transport

        return transport.platform_at(root)  # type: ignore[attr-defined]
    return open_platform(root)


def main(root: Path) -> None:
    """Publish the algorithm and serve."""
    from algo_local.serving.serve import serve_until_signal

    platform = opened(root / "platform")
    source = root / "Echo" / "src"
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    (source / "Echo.py").write_text(ECHO)
    platform.publish(source.parent, "bench", "Echo", "1.0.0")
    key = platform.keys.create(platform.metadata.ensure_account("bench"), "benchmark")[1]
    serve_until_signal(platform, "127.0.0.1", 0, tls=None, say=lambda text: print(key, text, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
