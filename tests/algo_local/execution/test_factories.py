"""`algo local serve --engine NAME`: what is wrong with a plugin's executor is told before anybody connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_local.execution.executor import Executor
from algo_local.execution.factories import METHODS

PLUGIN = """
from algo_core import ExecutorFactory, hookimpl
from algo_core.errors import NetworkError

@hookimpl
def algo_executors():
    return [
        ExecutorFactory(name, f"{__name__.partition('.')[0]}.plugin:{name}", help="x")
        for name in ("raises", "ends", "refuses", "none", "half", "unreachable", "missing", "fails_to_start", "shared")
    ]

def raises(app, endpoint, directory):
    raise ValueError("no cluster here")

def ends(app, endpoint, directory):
    raise SystemExit(0)

def refuses(app, endpoint):
    pass

def none(app, endpoint, directory):
    pass

def half(app, endpoint, directory):
    return Half()

class Half:
    def start(self):
        raise AssertionError("no executor is started that is none")

    def call(self):
        pass

def unreachable(app, endpoint, directory):
    raise NetworkError("The cluster does not answer", "Try again")

def fails_to_start(app, endpoint, directory):
    return Whole()

class Whole:
    call = cancel = context_of = describe = drain = close = lambda self: None

    def start(self):
        raise KeyError("queue")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two plugins that have executors, of which they share one name."""
    site = tmp_path_factory.mktemp("site")
    other = PLUGIN.replace("for name in (", "for name in ('shared',) or (")
    for dist, source in {"acme": PLUGIN, "other": other}.items():
        (site / dist).mkdir()
        (site / dist / "__init__.py").write_text("")
        (site / dist / "plugin.py").write_text(source)
        info = site / f"{dist}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[algo.plugins]\n{dist} = {dist}.plugin\n")
    return site


@pytest.fixture
def home(algo_home: Home, site: Path) -> Home:
    algo_home.environ |= {"PYTHONPATH": str(site), "ALGO_CACHE_DIR": str(site / "cache")}
    return algo_home


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        (
            "nowhere",
            ExitCode.USAGE,
            ("No plugin has an executor 'nowhere'", "Installed are: ends, ", "shared, unreach"),
        ),
        ("", ExitCode.USAGE, ("Invalid value for '--engine': it is empty",)),
        ("shared", ExitCode.USAGE, ("Several plugins have an executor 'shared': acme, other", "plugins disable other")),
        ("raises", ExitCode.PLUGIN, ("The plugin acme 1.0 is broken", "ValueError: no cluster here")),
        ("ends", ExitCode.PLUGIN, ("The plugin acme 1.0 is broken", "it called sys.exit(0)")),
        ("refuses", ExitCode.PLUGIN, ("The plugin acme 1.0 is broken", "TypeError")),
        ("none", ExitCode.PLUGIN, ("it returned None, which is not an executor: it has no start",)),
        ("half", ExitCode.PLUGIN, ("which is not an executor: it has no cancel",)),
        ("missing", ExitCode.PLUGIN, ("The plugin acme 1.0 is broken",)),
        ("fails_to_start", ExitCode.PLUGIN, ("The plugin acme 1.0 is broken", "KeyError: 'queue'")),
        ("unreachable", ExitCode.NETWORK, ("error: The cluster does not answer\nhint: Try again\n",)),
    ],
)
def test_an_executor_that_cannot_be_had_is_told(home: Home, name: str, code: ExitCode, told: tuple[str, ...]) -> None:
    served = home.run("local", "serve", "--port", "0", "--engine", name)
    assert served.code == code, served.stderr
    assert all(text in served.stderr for text in told), served.stderr
    assert "Serving on" not in served.stderr
    assert "Traceback" not in served.stderr


def test_without_plugins_the_hint_says_what_runs_algorithms(algo_home: Home) -> None:
    served = algo_home.run("local", "serve", "--port", "0", "--engine", "acme")
    assert served.code == ExitCode.USAGE
    assert "Leave out --engine to run algorithms on this machine" in served.stderr


def test_the_methods_are_those_of_the_contract() -> None:
    assert {name for name in vars(Executor) if not name.startswith("_")} == set(METHODS)
