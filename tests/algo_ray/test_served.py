"""`algo local serve --engine ray`, as a person starts it: commands, builds and calls are those of one machine."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_core.testing.platform import Platform
from algo_local.testing import wait_for

CALLING = """
import json, os, urllib.request

def apply(name):
    request = urllib.request.Request(
        os.environ["ALGORITHMIA_API"] + "/v1/algo/demo/Hello",
        json.dumps(name).encode(),
        {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["result"]
"""
REQUIRING = """
import os, sys
import greeting

def apply(name):
    print("printed by", name)
    return [greeting.WORD + " " + name, sys.prefix]
"""


@pytest.fixture(scope="module")
def ray_platform(ray_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.environ |= {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    home.environ["ALGO_RAY_ADDRESS"] = ray_cluster.address
    platform = Platform(home)
    for name, code in {"Calling": CALLING, "Isolated": CALLING, "Requiring": REQUIRING}.items():
        source = home.root / name
        (source / "src").mkdir(parents=True)
        (source / "src" / "__init__.py").touch()
        (source / "src" / f"{name}.py").write_text(code)
        if name == "Requiring":
            make_wheel(source / "wheels" / "greeting-1.0-py3-none-any.whl")
            (source / "requirements.txt").write_text("./wheels/greeting-1.0-py3-none-any.whl\n")
        options = ["--network-access", "isolated"] if name == "Isolated" else []
        published = home.run("local", "publish", source, f"tester/{name}", *options)
        assert published.code == ExitCode.OK, published.stderr
    served = platform.serve("tester", engine="ray")
    home.environ |= served.environ
    yield platform
    platform.close()


def make_wheel(path: Path) -> None:
    """A package `greeting` that installs without an index."""
    path.parent.mkdir()
    info = "greeting-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("greeting.py", "WORD = 'Good morning'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def run(platform: Platform, *arguments: str) -> Any:
    done = platform.home.run("run", *arguments)
    assert done.code == ExitCode.OK, done.stderr
    return json.loads(done.text) if done.text.startswith(("[", "{")) else done.text.strip()


def test_an_algorithm_runs_with_what_it_requires_on_a_node(ray_platform: Platform) -> None:
    word, prefix = run(ray_platform, "tester/Requiring", "-d", "Jane")
    assert word == "Good morning Jane"
    assert "node-" in prefix, "it runs in an environment of its node"


@pytest.mark.parametrize("name", ["Calling", "Isolated"])
def test_algorithms_on_nodes_call_the_platform(ray_platform: Platform, name: str) -> None:
    assert run(ray_platform, f"tester/{name}", "-d", "Jane") == "Hello Jane"


def test_an_algorithm_in_r_runs_on_a_node(ray_platform: Platform) -> None:
    needs("Rscript")
    source = ray_platform.home.root / "Doubled"
    (source / "src").mkdir(parents=True)
    (source / "src" / "Doubled.R").write_text("algorithm <- function(input) 2 * input\n")
    (source / "algorithmia.conf").write_text('{"language": "r"}')
    published = ray_platform.home.run(
        "local", "publish", source, "tester/Doubled", environ={"ALGORITHMIA_API": "local:"}
    )
    assert published.code == ExitCode.OK, published.stderr
    assert run(ray_platform, "tester/Doubled", "-d", "21") == "42"


def test_the_cluster_is_shown(ray_platform: Platform) -> None:
    run(ray_platform, "tester/Requiring", "-d", "Jane")

    def shown() -> dict[str, Any]:
        done = ray_platform.home.run("--json", "local", "status", "--cluster")
        found: dict[str, Any] = json.loads(done.text) if done.code == ExitCode.OK else {}
        return found

    def places() -> list[str]:
        return [actor["node"] for actor in shown()["cluster"]["actors"] if actor["algorithm"] == "tester/Requiring"]

    wait_for(lambda: shown() and places())
    nodes = {node["id"]: node for node in shown()["cluster"]["nodes"] if node["alive"]}
    assert {node["resources"].get("cpus", 0) for node in nodes.values()} == {0, 8}
    assert nodes[places()[0]]["free"]["cpus"] < 8
    text = ray_platform.home.run("local", "status", "--cluster").text
    assert "tester/Requiring" in text
    assert "of 16 processors taken" in text
