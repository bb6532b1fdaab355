"""`examples/algo_reports`, installed as a third party's distribution, passes its own tests."""

from __future__ import annotations

from pathlib import Path

from support.environments import ROOT, Environment, own_tests, wheels_of

from algo_core.testing import Home


def test_the_example_passes_its_own_tests(team_environment: Environment, tmp_path_factory, tmp_path: Path) -> None:
    wheels = wheels_of(tmp_path_factory, "examples/algo_reports")
    (wheel,) = wheels.glob("*.whl")
    team_environment.install(str(wheel))
    home = Home(tmp_path / "home", program=team_environment.bin / "algo")
    words = (*own_tests(tmp_path), ROOT / "examples" / "algo_reports" / "tests")
    done = team_environment.run(
        *words, "-c", ROOT / "examples" / "algo_reports" / "pyproject.toml", cwd=tmp_path, environ=home.environ
    )
    assert done.returncode == 0, done.stdout
    checked = team_environment.run(
        "mypy", ROOT / "examples" / "algo_reports" / "algo_reports", "--strict", cwd=tmp_path, environ=home.environ
    )
    assert checked.returncode == 0, checked.stdout
