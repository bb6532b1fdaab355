"""Before anything changes: dry runs, what is outdated and why, requirements files with hashes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from algo_core.errors import ExitCode
from algo_plugins.installer.outcome import CHANGED


def sha(path: Path) -> str:
    return f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_only_files_with_the_listed_hashes_are_installed(venv, house, tmp_path) -> None:
    lib = house.library("acme-lib", "1.0")
    first = house.plugin("acme-greet", "1.0", requires=["acme-lib"])
    place = venv
    locked = tmp_path / "locked.txt"
    locked.write_text(f"# made by a tool\nacme_greet==1.0 \\\n    {sha(first)}\nacme-lib==1.0 {sha(first)}\n")
    before, config = place.versions(), place.home.config_file.read_text()

    result = place.install("-r", locked)
    assert result.code == ExitCode.FAILURE, result
    assert "acme-lib==1.0 is another file than the requirements file says" in result.stderr
    locked.write_text(f"acme-greet==1.0 {sha(first)}\n")
    result = place.install("-r", locked, "--dry-run")
    assert (result.code, "acme-lib" in result.stderr) == (ExitCode.FAILURE, True), result
    assert (place.versions(), place.home.config_file.read_text()) == (before, config)
    locked.write_text(f"acme-greet==1.0 {sha(first)}\nacme-lib==1.0 {sha(lib)}\n")
    assert place.install("-r", locked).code == ExitCode.OK
    assert 'installed = ["acme-greet==1.0"]' in place.home.config_file.read_text()


def test_plans_change_nothing_and_say_what_holds_a_version_back(place, house, tmp_path) -> None:
    wheel = house.plugin("acme-greet", "1.0", requires=["acme-lib"])
    lib = house.library("acme-lib", "1.0")
    before, config = place.versions(), place.home.config_file.read_text()
    for words in (["--isolated"], []):
        result = place.install("acme-greet", "--dry-run", "--exit-code", *words)
        assert result.code == CHANGED, result
        assert result.text.startswith("Would install acme-greet 1.0")
    assert not (place.home.root / "data").exists()
    assert (place.versions(), place.home.config_file.read_text()) == (before, config)
    locked = tmp_path / "locked.txt"
    for wrong, said in (
        (f"acme-lib==1.0 {sha(wheel)}\n", "acme-lib==1.0 is another file"),
        ("", "acme-lib is needed, and the requirements file has no version and hash of it"),
    ):
        locked.write_text(f"acme-greet==1.0 {sha(wheel)}\n{wrong}")
        result = place.install("-r", locked)
        assert (result.code, said in result.stderr) == (ExitCode.FAILURE, True), result
        assert place.versions() == before
    locked.write_text(f"acme-greet==1.0 {sha(wheel)}\nacme-lib==1.0 {sha(lib)}\n")
    assert place.install("-r", locked).code == ExitCode.OK
    house.plugin("acme-greet", "2.0", requires=["algo-core>=90"])
    house.plugin("acme-greet", "1.5", command="greetings")
    result = place.run("plugins", "outdated", "--json", "--exit-code")
    assert result.code == CHANGED
    assert result.json == [
        {
            "environment": "venv", "distribution": "acme-greet", "installed": "1.0", "upgrade": None, "latest": "2.0",
            "held_back": "recorded as acme-greet==1.0", "outdated": True,
        }
    ]  # fmt: skip
    place.home.config_file.write_text(config + '[plugins]\ninstalled = ["acme-greet"]\n')
    row = place.run("plugins", "outdated", "--json").json[0]
    assert (row["upgrade"], row["latest"]) == ("1.5", "2.0")
    assert row["held_back"] == "acme-greet 2.0 needs algo-core>=90"
    before = place.versions()
    planned = place.run("plugins", "upgrade", "--dry-run", "--json").json
    assert (planned["dry_run"], planned["result"]) == (True, "planned")
    assert [(step["action"], step["previous"], step["version"]) for step in planned["changes"]] == [
        ("upgrade", "1.0", "1.5")
    ]
    assert planned["plugins"][0]["commands"] == ["greetings"]
    assert place.versions() == before


def test_hashes_are_checked_when_plugins_are_restored_and_isolated_ones_upgraded(place, house, tmp_path) -> None:
    first, lib = house.plugin("acme-greet", requires=["acme-lib"]), house.library("acme-lib", "1.0")
    other, free = house.plugin("acme-apart", command="apart"), house.plugin("acme-free", command="free")
    locked = tmp_path / "locked.txt"
    needed = [
        wheel for wheel in house.path.glob("*.whl") if not wheel.name.startswith(("algo_", "acme_")) or wheel == other
    ]
    locked.write_text("".join(f"{'=='.join(wheel.name.split('-')[:2])} {sha(wheel)}\n" for wheel in needed))
    assert place.install("--isolated", "-r", locked, "acme-apart").code == ExitCode.OK
    locked.write_text(f"acme-greet==1.0 {sha(first)}\nacme-lib==1.0 {sha(lib)}\nacme-free==1.0 {sha(free)}\n")
    assert place.install("-r", locked).code == ExitCode.OK
    assert place.run("plugins", "uninstall", "acme-free").code == ExitCode.OK
    assert place.install("acme-free").code == ExitCode.OK  # now without a hash
    kept = place.home.config_file.parent / "requirements"
    assert [oct(file.stat().st_mode & 0o777) for file in kept.iterdir()] == ["0o600", "0o600"]

    genuine = {wheel: wheel.read_bytes() for wheel in (lib, other, free)}
    for wheel in genuine:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("other.py", "")
    gone = ["acme-greet", "acme-lib", "acme-free"]
    remove = [sys.executable, "-m", "uv", "pip", "uninstall", "--python", place.python, *gone]
    subprocess.run(remove, check=True, capture_output=True)
    place.home.environ["UV_NO_CACHE"] = "1"  # where the genuine files lie still
    result = place.run("plugins", "restore")
    assert (result.code, "acme-lib==1.0 is another file" in result.stderr) == (ExitCode.FAILURE, True), result
    result = place.run("plugins", "upgrade", "acme-apart")
    assert (result.code, "acme-apart==1.0 is another file" in result.stderr) == (ExitCode.FAILURE, True), result
    assert "acme-lib" not in place.versions()
    for wheel in (lib, other):
        wheel.write_bytes(genuine[wheel])
    assert place.run("plugins", "restore").text.count("Installed ") == 3  # acme-free has no hash to differ from
    assert place.run("plugins", "upgrade", "acme-apart").code == ExitCode.OK
    assert place.run("plugins", "uninstall", "acme-greet", "acme-apart").code == ExitCode.OK
    assert not [*kept.iterdir()]
