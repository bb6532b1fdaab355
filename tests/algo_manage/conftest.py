"""`algo` against a stub platform, and the sources of an algorithm."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.stub import KEY, StubPlatform

from algo_core.testing import Home


@pytest.fixture
def home(algo_home: Home, stub: StubPlatform) -> Home:
    """A home whose default profile is that of `alice` on the stub platform."""
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    return algo_home


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The directory of an algorithm."""
    directory = tmp_path / "greeter"
    for name, text in {
        "src/__init__.py": "",
        "src/Greeter.py": "import os\n\ndef apply(input):\n    return os.environ.get('GREETING', 'Hello') + ' ' + input\n",
        "README.md": "# Greeter\n\nGreets anybody.\n",
        "src/__pycache__/x.pyc": "compiled",
        ".git/HEAD": "ref: refs/heads/main\n",
        "venv/pyvenv.cfg": "",
        "venv/lib.py": "not a source",
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory
