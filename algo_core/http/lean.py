"""requests without what it and urllib3 import for others.

The library that it would guess encodings with: the API's answers name theirs, and importing the guesser would take an
eighth of the time of a short command. Without one requests takes texts for UTF-8, and warns about it. And
`importlib.metadata`, which urllib3 looks up a version of HTTP/2 support with when that is asked for. Import requests
from here before anything else does.
"""

from __future__ import annotations

import sys
import types
import warnings

from algo_core.terminal import stray


def _version(name: str) -> str:
    """What urllib3 keeps of `importlib.metadata`."""
    from importlib.metadata import version

    return version(name)


_metadata = types.ModuleType("importlib.metadata")
_metadata.version = _version  # type: ignore[attr-defined]  # that is what makes it one
_absent = dict.fromkeys(("chardet", "charset_normalizer"))  # None makes an import fail
_replaced = {
    name: module for name, module in {**_absent, "importlib.metadata": _metadata}.items() if name not in sys.modules
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sys.modules.update(_replaced)  # type: ignore[arg-type]  # see above
    try:
        import requests
        import requests.adapters
        import urllib3
    finally:
        for _name in _replaced:
            del sys.modules[_name]

stray.redirect()

__all__ = ["requests", "urllib3"]
