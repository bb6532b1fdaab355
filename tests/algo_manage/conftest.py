"""`algo` against a stub platform, the embedded one, and one that is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.serving import Served
from support.stub import KEY, StubPlatform

from algo_core.testing import Home


@pytest.fixture
def home(algo_home: Home, stub: StubPlatform) -> Home:
    """A home whose default profile is that of `alice` on the stub platform."""
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    return algo_home


@pytest.fixture(params=["embedded", "served"])
def platform_home(request: pytest.FixtureRequest, algo_home: Home) -> Iterator[Home]:
    """A home whose account is `jane` on a real platform."""
    if request.param == "embedded":
        algo_home.environ["LOGNAME"] = "jane"
        yield algo_home
        return
    served = Served(environ=algo_home.environ)
    key = algo_home.run("local", "key", "new", "jane").text.strip()
    algo_home.write_config(f'[profiles.default]\naddress = "{served.address}"\napi_key = "{key}"\n')
    yield algo_home
    served.kill()


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
