"""The environment commands against the embedded platform, which knows the documented languages and has real templates."""

import json
import subprocess

from algo_core.errors import ExitCode


def test_the_guides_steps_from_languages_to_a_template(algo_home, tmp_path) -> None:
    languages = algo_home.run("languages")
    assert languages.code == ExitCode.OK
    assert languages.text.splitlines()[0] == "Name                      Display Name"
    assert "python3                   Python 3.x (Environments)" in languages.text.splitlines()
    (found,) = (e for e in algo_home.run("environment", "python3").json if "TensorFlow" in e["display_name"])
    specification = found["environment_specification_id"]
    assert algo_home.run("template", specification, tmp_path / "dest").code == ExitCode.OK
    assert "def apply(" in (tmp_path / "dest/src/__ALGO__.py").read_text()
    assert "tensorflow" in (tmp_path / "dest/requirements.txt").read_text()
    assert json.loads((tmp_path / "dest/algorithmia.conf").read_text())["username"] == "__USER__"
    wrong = algo_home.run("template", found["id"], tmp_path / "other")
    assert wrong.code == ExitCode.NOT_FOUND
    assert specification in wrong.stderr
    assert not (tmp_path / "other").exists()


def test_an_unknown_language(algo_home) -> None:
    done = algo_home.run("environment", "cobol")
    assert done.code == ExitCode.NOT_FOUND
    assert "python3" in done.stderr


def test_the_documented_search_finds_an_environment(algo_home) -> None:
    """API section 5.4: `algo environment python3 | grep -iC4 -e "tensorflow 2"`."""
    command = f'{algo_home.command()[0]} environment python3 | grep -iC4 -e "tensorflow 2"'
    done = subprocess.run(["bash", "-c", command], env=algo_home.environ, capture_output=True, text=True)
    assert done.returncode == ExitCode.OK
    assert '"id"' in done.stdout
    assert '"environment_specification_id"' in done.stdout
