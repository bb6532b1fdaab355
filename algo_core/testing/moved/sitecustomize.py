"""Python imports this at its start where `Clock` has put this folder on PYTHONPATH: its time is the test's.

A module of the same name that it hides is imported afterwards.
"""

import os
import sys

from _algo_clock import FILE_VARIABLE, patch  # type: ignore[import-not-found]  # beside this file, which is on the path

if os.environ.get(FILE_VARIABLE):
    patch(os.environ[FILE_VARIABLE])

_here = os.path.dirname(os.path.abspath(__file__))
_path, _own = sys.path[:], sys.modules.pop("sitecustomize", None)
sys.path = [entry for entry in _path if os.path.abspath(entry or ".") != _here]
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - that of the machine
except ImportError:
    if _own is not None:
        sys.modules["sitecustomize"] = _own
finally:
    sys.path = _path
