"""`algorithmia.conf`: what it says, and how its mistakes are told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.configuration import identity, read_configuration
from algo_local.algorithms.installation.environments import _identity, requirements_of
from algo_local.algorithms.languages.interpreters import ours
from algo_local.web.directory_calls import algorithm_directory

PLAIN = "def apply(input):\n    return input\n"


def configured(tmp_path: Path, text: str) -> Path:
    (tmp_path / "algorithmia.conf").write_text(text, "utf-8")
    return tmp_path


def test_what_it_says(tmp_path: Path) -> None:
    assert not read_configuration(tmp_path).is_there
    text = """\ufeff{"username": "me", "algoname": "Hello", "langauge": "python3.7", "entry_point": "src/deep/main.py",
        "python": "python3", "dependencies": [" numpy>=2 ", ""], "sample_input": {"a": "\u00e4"}, "other": 1}"""
    found = read_configuration(configured(tmp_path, text))
    assert (found.username, found.algoname, found.language) == ("me", "Hello", "python3.7")
    assert (found.module, found.python, found.dependencies) == ("deep.main", (3,), ("numpy>=2",))
    assert found.sample_input == '{"a": "\u00e4"}'
    assert requirements_of(tmp_path) == "numpy>=2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ('{"cpus": 0}', {"cpus": 0}),
        ('{"cpus": 0.25, "gpus": 0, "memory": "2 GiB"}', {"cpus": 0.25, "memory": 2 << 30}),
        (
            '{"gpus": 2, "memory": 1000, "resources": {"ssd": 1, "tpu-v5": 0.5, "no": 0}}',
            {"gpus": 2, "memory": 1000, "ssd": 1, "tpu-v5": 0.5},
        ),
    ],
)
def test_resources_of_a_worker(tmp_path: Path, text: str, expected: dict[str, float]) -> None:
    found = read_configuration(configured(tmp_path, text))
    assert dict(found.resources) == expected
    assert not found.idempotent
    assert read_configuration(configured(tmp_path, '{"idempotent": true}')).idempotent


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('{"usrname": "me"}', "unknown member 'usrname'", "Did you mean 'username'?"),
        ('{"algo_name": "me"}', "unknown member 'algo_name'", "Did you mean 'algoname'?"),
        ('{"Language": "python3"}', "unknown member 'Language'", "Did you mean 'language'?"),
        ('{"dependancies": []}', "unknown member 'dependancies'", "Did you mean 'dependencies'?"),
        ('{"entrypoint": ""}', "unknown member 'entrypoint'", "Did you mean 'entry_point'?"),
        ('{"username": 3}', "'username' must be a text, not 3", "Correct 'username'"),
        ('{"dependencies": "numpy"}', "'dependencies' must be a list", "Correct 'dependencies'"),
        ('{"dependencies": ["a\\nb"]}', "'dependencies' must be a list", "Correct 'dependencies'"),
        ('{"entry_point": "../x.py"}', "'entry_point' must be a module below src", "Correct 'entry_point'"),
        ('{"min_workers": -1}', "'min_workers' must be a number from 0 to 1000, not -1", "Correct 'min_workers'"),
        ('{"max_workers": 1001}', "'max_workers' must be a number from 0 to 1000", "Correct 'max_workers'"),
        ('{"max_workers": true}', "'max_workers' must be a number from 0 to 1000, not true", "Correct 'max_workers'"),
        ('{"max_workers": "2"}', "'max_workers' must be a number from 0 to 1000", "Correct 'max_workers'"),
        ('{"min_workers": 3, "max_workers": 2}', "'min_workers' must be at most max_workers, which is 2", "Correct"),
        ('{"replicas": 3}', "'replicas' must be spawn or fork, not 3", "Correct 'replicas'"),
        ('{"cpus": -1}', "'cpus' must be a number from 0 to 1, or a whole one, not -1", "Correct 'cpus'"),
        ('{"cpus": 1.5}', "'cpus' must be a number from 0 to 1, or a whole one, not 1.5", "Correct 'cpus'"),
        ('{"cpus": true}', "'cpus' must be a number", "Correct 'cpus'"),
        ('{"cpus": NaN}', "'cpus' must be a number", "Correct 'cpus'"),
        ('{"gpus": Infinity}', "'gpus' must be a number", "Correct 'gpus'"),
        ('{"gpus": "1"}', "'gpus' must be a number", "Correct 'gpus'"),
        ('{"memory": "much"}', "'memory' must be a size such as 2G, or bytes", "Correct 'memory'"),
        ('{"memory": 1.5}', "'memory' must be a size", "Correct 'memory'"),
        ('{"memory": false}', "'memory' must be a size", "Correct 'memory'"),
        ('{"memory": "999999999999T"}', "'memory' must be a size", "Correct 'memory'"),
        ('{"resources": ["ssd"]}', "'resources' must be an object", "Correct 'resources'"),
        ('{"resources": {"CPU": 1}}', "'resources' must be names that nodes declare", "Correct 'resources'"),
        ('{"resources": {"node:10.0.0.1": 1}}', "'resources' must be names that nodes", "Correct 'resources'"),
        ('{"resources": {"ssd": 0.5, "tpu": 2.5}}', "'tpu' must be a number", "Correct 'tpu'"),
        ('{"idempotent": 1}', "'idempotent' must be true or false, not 1", "Correct 'idempotent'"),
        ('{"python": "new"}', "'python' must be a version", "Correct 'python'"),
        ('{"username": "me",}', "is not JSON", "It looks like"),
        ("[]", "does not hold a JSON object", "It looks like"),
        ('{"language": "java11"}', "holds one in Java", "algo template"),
        ('{"language": "pyhton3"}', "does not exist: 'pyhton3'", "Did you mean 'python3'?"),
        ('{"language": "cobol"}', "does not exist: 'cobol'", "runs Python 3"),
        ('{"python": "2.7"}', "asks for Python 2.7", "Change 'python'"),
        ('{"entry_point": "src/Other.py"}', "There is no src/Other.py", "Correct 'entry_point'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, write: Callable[..., Path], text: str, message: str, hint: str) -> None:
    directory = configured(write(PLAIN), text)
    with pytest.raises(BuildError) as caught:
        Builder(tmp_path / "root").build(directory, "me", "Hello")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_the_entry_point_is_built(tmp_path: Path, write: Callable[..., Path]) -> None:
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    conf = f'{{"entry_point": "src.deep.main", "python": "{ours}"}}'
    directory = configured(write("import no_such\n", **{"src/deep/main.py": PLAIN}), conf)
    assert Builder(tmp_path / "root").build(directory, "me", "Hello").module == "src.deep.main"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ("jane", "greeter")),
        ('{"username": "__USER__", "algoname": "__ALGO__"}', ("jane", "greeter")),
        ('{"username": "acme", "algoname": "Hello"}', ("acme", "Hello")),
        ('{"username": "no/name"}', "Correct 'username'"),
        ('{"username": "temp"}', "Correct 'username'"),
        ('{"algoname": "1st"}', "Correct 'algoname'"),
    ],
)
def test_owner_and_name(tmp_path: Path, text: str, expected: Any) -> None:
    directory = tmp_path / "greeter"
    directory.mkdir()
    found = read_configuration(configured(directory, text))
    if isinstance(expected, tuple):
        assert identity(directory, found, "jane") == expected
        return
    with pytest.raises(BuildError) as caught:
        identity(directory, found, "jane")
    assert expected in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        ("numpy\nscipy>=1", "scipy>=1   # for sums\n\n# numbers\nnumpy\nnumpy", True),
        ("numpy >= 2 ; python_version>'3'", "numpy >=  2 \\\n ; python_version>'3'", True),
        ("numpy\nscipy", "numpy\nscipy>=1", False),
        ("--index-url x\nnumpy", "numpy\n--index-url x", False),
        ("a @ https://x/a.whl#sha256=1", "a @ https://x/a.whl#sha256=2", False),
        ("numpy", "", False),
    ],
)
def test_requirements_are_equal_whatever_their_order_and_comments(one: str, other: str, is_equal: bool) -> None:
    assert (_identity(one, "commit", ours()) == _identity(other, "commit", ours())) is is_equal


def test_what_is_no_algorithms_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in (tmp_path / "mine" / "src", tmp_path / "empty", tmp_path / "two words"):
        directory.mkdir(parents=True)
    for directory in (tmp_path / "mine", tmp_path / "two words"):
        configured(directory, "{}")
    (tmp_path / "mine" / "src" / "Mine.py").touch()
    assert algorithm_directory("./mine") == Path("mine")
    cases: dict[str, tuple[type[AlgoError], str]] = {
        "./mien": (NotFoundError, "Did you mean `algo run ./mine`?"),
        "/no/such/place/at all": (NotFoundError, "Begin a new algorithm with a template"),
        "./zzz": (NotFoundError, "There is `algo run ./mine` or `algo run './two words'`"),
        "./mine/src/Mine.py": (UsageError, "Name its directory: `algo run ./mine`"),
        "./mine/src": (UsageError, f"Name the directory that has one: `algo run {tmp_path}/mine`"),
        "./empty": (UsageError, "Describe the algorithm in empty/algorithmia.conf, for example with"),
        ".": (UsageError, "Did you mean `algo run ./mine` or `algo run './two words'`?"),
    }
    for text, (kind, hint) in cases.items():
        with pytest.raises(kind) as caught:
            algorithm_directory(text)
        assert hint in (caught.value.hint or ""), text
