"""requests without the library that it would guess encodings with.

The API's answers name their encoding, so there is nothing to guess, and importing the guesser would take an eighth of
the time of a short command. Without one requests takes texts for UTF-8, and warns about it. Import requests from here
before anything else does.
"""

from __future__ import annotations

import sys
import warnings

_missing = [name for name in ("chardet", "charset_normalizer") if name not in sys.modules]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sys.modules.update(dict.fromkeys(_missing))  # type: ignore[arg-type]  # None makes an import fail
    try:
        import requests
        import requests.adapters
    finally:
        for _name in _missing:
            del sys.modules[_name]

__all__ = ["requests"]
