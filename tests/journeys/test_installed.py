"""What a person gets who installs the wheels and nothing else."""

import subprocess
import zipfile

from support.environments import ROOT, STANDARD

from algo_core import __version__
from algo_core.errors import ExitCode


def test_the_first_commands_after_an_install(installed) -> None:
    assert installed.run("--version").text == f"algo {__version__}\n"
    text = installed.run("--help").text
    for name in ("run", "cp", "ls", "languages", "template", "local", "auth"):
        assert f"\n  {name} " in text
    result = installed.run("run", "demo/Hello", "-d", "HAL 9000")
    assert (result.code, result.text) == (ExitCode.OK, "Hello HAL 9000\n")
    assert result.stderr.count("\n") == 1
    assert "embedded platform" in result.stderr
    assert installed.run("doctor").code == ExitCode.OK


def test_data_there_and_back(installed) -> None:
    content = bytes(range(256)) * 5000
    (installed.root / "picture.bin").write_bytes(content)
    assert installed.run("mkdir", ".my/pictures").code == ExitCode.OK
    assert (
        installed.run("cp", "picture.bin", "data://.my/pictures").text == "Uploaded data://.my/pictures/picture.bin\n"
    )
    assert installed.run("cp", "data://.my/pictures/picture.bin", "back.bin").code == ExitCode.OK
    assert (installed.root / "back.bin").read_bytes() == content
    assert installed.run("cat", ".my/pictures/picture.bin").stdout == content


def test_every_plugin_is_whole_in_its_wheel(installed) -> None:
    """Templates, type markers and all modules are there: each command's help imports what it needs."""
    listed = installed.run("plugins", "list", "--json").json
    assert {row["status"] for row in listed} == {"ok"}
    for row in listed:
        for name in row["commands"]:
            assert installed.run(*name.split(" "), "--help").code == ExitCode.OK
    specification = installed.run("environment", "python3", "--json").json[0]["environment_specification_id"]
    assert installed.run("template", specification, "mine").code == ExitCode.OK
    assert (installed.root / "mine" / "src").is_dir()
    subprocess.run(
        [installed.program.with_name("python"), "-c", "import algo_core, algo_local, algo_data, algo_run, algo_env, algo_manage, algo_plugins, pathlib\n"
         "for p in (algo_core, algo_local, algo_data, algo_run, algo_env, algo_manage, algo_plugins):\n"
         "    assert (pathlib.Path(p.__file__).parent / 'py.typed').exists(), p"],
        check=True,
    )  # fmt: skip


def test_every_file_of_a_package_is_in_its_wheel(wheels) -> None:
    """Samples, templates with their hidden files, statements of SQL, type markers."""
    found = {}
    for project in STANDARD:
        (package,) = [path.parent for path in (ROOT / project).glob("algo_*/__init__.py")]
        files = {
            str(path.relative_to(package.parent))
            for path in package.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        (wheel,) = wheels.glob(f"{package.name}-*.whl")
        found[package.name] = files ^ {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert (len(found), {name: different for name, different in found.items() if different}) == (len(STANDARD), {})


def test_nothing_is_written_outside_the_directories_that_are_ours(installed) -> None:
    for variable in ("ALGO_CONFIG_DIR", "ALGO_CACHE_DIR", "ALGO_LOCAL_ROOT", "ALGO_SITE_CONFIG"):
        del installed.environ[variable]
    assert installed.run("run", "demo/Hello", "-d", "x").code == ExitCode.OK
    assert installed.run("config", "set", "timeout", "9").code == ExitCode.OK
    written = {str(path.relative_to(installed.root)) for path in installed.root.rglob("*") if path.is_file()}
    ours = (".config/algo/", ".cache/algo/", ".local/share/algo/")
    assert written
    assert not [path for path in written if not path.startswith(ours)]


def test_the_core_alone_answers_what_needs_no_plugin(core_alone) -> None:
    for arguments in (
        ["--help"],
        ["--version"],
        ["config", "list"],
        ["profile", "list"],
        ["plugins", "list"],
        ["auth", "--help"],
    ):
        result = core_alone.run(*arguments)
        assert (result.code, "Traceback" in result.stderr) == (ExitCode.OK, False), result
    result = core_alone.run("run", "demo/Hello", "-d", "x")
    assert result.code == ExitCode.USAGE
    assert "There is no command 'run'" in result.stderr
    python = core_alone.program.with_name("python")
    for words in (["install", "acme"], ["new", "acme"]):
        result = core_alone.run("plugins", *words)
        assert result.code == ExitCode.USAGE
        assert result.stderr.splitlines()[1].endswith(f"get it with: `{python} -m pip install algo-plugins`")
