"""Makes virtual environments: with uv, or with pip where that is missing or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from algo_core.errors import ConfigError
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import NAME as CONFIGURATION
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.installation.index_settings import index_settings
from algo_local.algorithms.installation.install_failure import Reason, reason_of
from algo_local.algorithms.installation.tether import tethered
from algo_local.algorithms.languages.interpreters import Python, Report, ours, uv_program
from algo_local.state import PASSWORD_VARIABLES

REQUIREMENTS = "requirements.txt"
INSTALLING = f"Installing {REQUIREMENTS}"

PACKAGES = "packages"
"""The directory beside the environments where uv keeps packages: environments share files with it by hard links."""

_BUILD_VARIABLES = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_USER": "0",  # pip refuses it inside a virtual environment if a configuration file sets it
    "PIP_REQUIRE_VIRTUALENV": "0",  # the pip of this process may be outside a virtual environment; the target is one
    "UV_NO_PROGRESS": "1",
    "UV_NO_WRAP": "1",
}
_STRIPPED_VARIABLES = (
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_CACHE_DIR", "UV_OFFLINE"),
)
_TAIL = 12  # lines of output to show when it fails


def builds_with(environ: Mapping[str, str] = os.environ) -> str | None:
    """The path of uv if environments are made with it; None for pip.

    Raises:
        ConfigError: if `ALGO_LOCAL_INSTALLER` is no installer, or one that is missing.
    """
    wanted = environ.get("ALGO_LOCAL_INSTALLER", "").strip().lower() or "auto"
    if wanted not in {"auto", "uv", "pip"}:
        raise ConfigError(f"ALGO_LOCAL_INSTALLER must be auto, uv or pip, not {wanted!r}", "Correct or unset it")
    uv = None if wanted == "pip" else uv_program(environ)
    if wanted == "uv" and not uv:
        raise ConfigError(
            "uv is not installed", f"Install it: {sys.executable} -m pip install uv; or unset ALGO_LOCAL_INSTALLER"
        )
    return uv


def make_environment(
    environment: Path, python: Python, directory: Path, report: Report, *, requires: bool, only_wheels: bool
) -> None:
    """Make a virtual environment with the requirements in `directory`, if it requires anything.

    With `only_wheels` no package is built, so that no code of any runs.

    Raises:
        BuildError: if that fails; its hint is the end of the installer's output.
    """
    uv = builds_with()
    if uv:
        _make_with_uv(uv, environment, python, directory, report, requires=requires, only_wheels=only_wheels)
    else:
        _make_with_pip(environment, python, directory, report, requires=requires, only_wheels=only_wheels)


def _make_with_uv(
    uv: str, environment: Path, python: Python, directory: Path, report: Report, *, requires: bool, only_wheels: bool
) -> None:
    report(f"Making a virtual environment with Python {python.text}")
    settings = index_settings(os.environ)
    variables = settings.uv_variables()
    venv = [uv, "venv", "--quiet", "--no-project", "--python", python.program, str(environment)]
    run(venv, directory, "uv", report, variables)
    if not requires:
        return
    command = [
        *(uv, "pip", "install", "--python", str(environment / "bin" / "python")),
        *("--cache-dir", str(environment.parent.with_name(PACKAGES))),
        *settings.uv_options(),
        *(["--only-binary", ":all:"] if only_wheels else []),
        *("-r", REQUIREMENTS),
    ]
    run(command, directory, INSTALLING, report, variables)
    _compile(environment, python, directory)


def _compile(environment: Path, python: Python, directory: Path) -> None:
    """Write compiled files beside the modules, since workers cannot; uv's own compilation needs Python 3.7."""
    library = environment / "lib"
    command = [python.program, "-I", "-S", str(Path(__file__).with_name("bytecode.py")), str(library)]
    subprocess.run(
        tethered(command),
        cwd=directory,
        env=build_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _make_with_pip(
    environment: Path, python: Python, directory: Path, report: Report, *, requires: bool, only_wheels: bool
) -> None:
    report(f"Making a virtual environment with Python {python.text}")
    command = [python.program, "-I", "-m", "venv", "--without-pip", str(environment)]
    run(command, directory, "The venv module", report)
    if not requires:
        return
    inside = environment / "bin" / "python"
    if python == ours() and our_pip_installs_elsewhere():
        pip = [sys.executable, "-I", "-m", "pip", "--python", str(inside)]
    else:
        run([str(inside), "-I", "-m", "ensurepip", "--default-pip"], directory, "Installing pip", report)
        pip = [str(inside), "-I", "-m", "pip"]
    index = os.environ.get("PYTHON_INDEX_URL")
    options = [*(["-i", index] if index else []), *(["--only-binary", ":all:"] if only_wheels else [])]
    run([*pip, "install", *options, "-r", REQUIREMENTS], directory, INSTALLING, report)


def our_pip_installs_elsewhere() -> bool:
    """Whether our interpreter has a pip that knows `--python` (22.3 and later): no environment then needs its own."""
    try:
        import pip
    except ImportError:
        return False
    return tuple(int(part) for part in pip.__version__.split(".")[:2]) >= (22, 3)


def build_environment() -> dict[str, str]:
    """Environment variables for installers: their settings, proxies and certificates, without Python's variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "ALGORITHMIA_")) and name not in _STRIPPED_VARIABLES + PASSWORD_VARIABLES
    }
    return kept | _BUILD_VARIABLES


def run(
    command: Sequence[str],
    directory: Path,
    title: str,
    report: Report,
    variables: Mapping[str, str] | None = None,
    why: Callable[[Sequence[str]], Reason | None] | None = None,
) -> None:
    """Run an installer, and report its lines as they come.

    Raises:
        BuildError: if it fails, with the reason that `why` finds in its lines; without `why` it is pip or uv.
    """
    lines: list[str] = []
    process = subprocess.Popen(
        tethered(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env=build_environment() | dict(variables or {}),
        text=True,
        encoding="utf-8",
        errors="replace",
        umask=0o022,  # algorithms may run as another user than the platform
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                lines.append(line.rstrip())
                report(lines[-1])
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code:
        told = "\n".join([line for line in lines if line.strip()][-_TAIL:])
        found = why(lines) if why else reason_of(lines, *_required_in(directory))
        reason = found or Reason(f"exit code {code}", told)
        raise BuildError(f"{title} failed: {reason.message}", reason.hint or told or None)


def _required_in(directory: Path) -> tuple[list[str], str]:
    """The requirement lines, and the name of their file."""
    is_configured = read_configuration(directory).dependencies is not None
    try:
        lines = (directory / REQUIREMENTS).read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return lines, f"'dependencies' in {CONFIGURATION}" if is_configured else REQUIREMENTS
