"""An upgrade that is broken, fails or is killed leaves what was there; a good one can be taken back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from algo_core.errors import ExitCode

KILLING = """#!{python}
import os, signal, subprocess, sys
if "--dry-run" in sys.argv or "--target" in sys.argv or not os.path.exists({armed!r}):
    os.execv({uv!r}, sys.argv)
how = open({armed!r}).read()
os.unlink({armed!r})
if how == "kill":
    os.kill(os.getppid(), signal.SIGKILL)
subprocess.run([{uv!r}, *sys.argv[1:]], check=True)
os.unlink({half!r})
sys.exit("the disk is full")
"""


def wrap(place, tmp_path: Path) -> Path:
    """A uv that, when it is armed, removes a file of what it has installed and fails, or kills algo before."""
    tool, armed = tmp_path / "bin" / "uv", tmp_path / "armed"
    uv = str(tool.resolve())
    tool.unlink()
    (site,) = place.python.parents[1].glob("lib/*/site-packages")
    half = str(site / "acme_greet" / "plugin.py")
    tool.write_text(KILLING.format(python=sys.executable, armed=str(armed), uv=uv, half=half))
    tool.chmod(0o755)
    return armed


def state(place) -> tuple[dict[str, str], str, set[str]]:
    """Versions, the record, and the files of the environment."""
    prefix = place.python.parents[1]
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.suffix != ".pyc" and path.is_file()}
    ours = {path for path in files if not path.startswith(".algo-plugins")}
    return place.versions(), place.home.config_file.read_text(), ours


def test_a_bad_upgrade_is_undone_and_a_good_one_can_be(place, house, tmp_path) -> None:
    for version in ("1.0", "2.0"):
        house.library("acme-lib", version)
    house.plugin("acme-greet", "1.0", text="one", requires=["acme-lib<2"], lib="acme_lib")
    armed = wrap(place, tmp_path)
    assert place.install("acme-greet").code == ExitCode.OK
    assert place.run("plugins", "rollback", "acme-greet").code == ExitCode.NOT_FOUND
    before = state(place)

    bad = house.plugin("acme-greet", "2.0", requires=["acme-lib>=2"], source="ALGO_API = '>=90'\n")
    result = place.run("plugins", "upgrade", "--json")
    assert result.code == ExitCode.PLUGIN, result
    assert "it needs hook API >=90" in result.stderr
    assert "acme-greet 1.0 is installed again" in result.stderr
    assert {"distribution": "acme-lib", "version": "1.0"} in result.error["restored"]
    assert state(place) == before
    bad.unlink()

    house.plugin("acme-greet", "3.0", text="three", requires=["acme-lib>=2"], lib="acme_lib")
    armed.write_text("fail")
    result = place.run("plugins", "upgrade")
    assert (result.code, "the disk is full" in result.stderr) == (ExitCode.FAILURE, True), result
    assert "Undone: " in result.stderr
    assert state(place) == before

    armed.write_text("kill")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    place.home.environ["TMPDIR"] = str(temporary)
    killed = subprocess.Popen(place.home.command("plugins", "upgrade"), env=place.home.environ, stderr=subprocess.PIPE)
    killed.communicate()
    left = list(temporary.iterdir())
    assert left
    for directory in left:
        os.utime(directory, (0, 0))
    result = place.run("plugins", "outdated")
    assert (result.code, "was interrupted" in result.stderr) == (ExitCode.PLUGIN, True), result
    assert "algo plugins restore" in result.stderr
    result = place.run("plugins", "restore")
    assert result.code == ExitCode.OK, result
    assert "An interrupted change of plugins was undone: acme-greet 1.0 is installed again" in result.stderr
    assert not list(temporary.iterdir())
    assert state(place) == before

    assert place.run("plugins", "upgrade").code == ExitCode.OK
    assert place.run("greet").json["say"] == "three"
    result = place.run("plugins", "rollback", "acme-greet")
    assert result.code == ExitCode.OK, result
    assert "Downgraded acme-greet from 3.0 to 1.0: greet" in result.text
    assert state(place) == before
    assert place.run("greet").json["lib"] == "1.0"
    assert place.run("plugins", "rollback", "acme-greet").code == ExitCode.OK
    assert place.run("greet").json["lib"] == "2.0"
    before = state(place)
    armed.write_text("fail")
    result = place.run("plugins", "uninstall", "acme-greet")
    assert (result.code, "acme-greet 3.0 is installed again" in result.stderr) == (ExitCode.FAILURE, True), result
    assert state(place) == before
    assert not list(place.python.parents[1].glob(".algo-plugins/changing"))
    shutil.rmtree(place.python.parents[1] / ".algo-plugins")
    assert os.listdir(tmp_path / "bin") == ["uv"]
