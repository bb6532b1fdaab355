"""What pip and uv say when they fail: the package, the line that gives the reason, and what to change."""

from __future__ import annotations

import textwrap
import threading

import pytest

from algo_local.algorithms.installation.install_failure import reason_of
from algo_local.algorithms.progress import told_regularly

REQUIRED = ["# numbers", "numpy==99", "psycopg2==2.7", "no-such.package", "requests==2.0", "requests-toolbelt"]

PIP_BUILD = """
    Collecting psycopg2==2.7 (from -r requirements.txt (line 1))
      Using cached psycopg2-2.7.tar.gz
      Preparing metadata (setup.py): finished with status 'done'
      Building wheel for psycopg2 (setup.py): finished with status 'error'
      error: subprocess-exited-with-error

      x python setup.py bdist_wheel did not run successfully.
      │ exit code: 1
      ╰─> [200 lines of output]
          running build_ext
          psycopg/psycopgmodule.c:27:10: fatal error: libpq-fe.h: No such file or directory
          compilation terminated.
          error: command '/usr/bin/gcc' failed with exit code 1
          [end of output]

      note: This error originates from a subprocess, and is likely not a problem with pip.
      ERROR: Failed building wheel for psycopg2
    ERROR: Could not build wheels for psycopg2, which is required to install pyproject.toml-based projects
    """
PIP_METADATA = """
    Collecting numpy==1.19.0
      Preparing metadata (pyproject.toml): finished with status 'error'
      error: subprocess-exited-with-error

      x Preparing metadata (pyproject.toml) did not run successfully.
      ╰─> [24 lines of output]
          Traceback (most recent call last):
            File "<string>", line 489, in <module>
          ModuleNotFoundError: No module named 'distutils.msvccompiler'
          [end of output]
    error: metadata-generation-failed
    """
UV_BUILD = """
    Using Python 3.11.7 environment at: v
    error: Failed to build `psycopg2==2.7`
      cause: The build backend returned an error
      cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

    [stdout]
    running build

    [stderr]
    psycopg/psycopgmodule.c:685:18: error: invalid use of incomplete typedef
    error: command 'gcc' failed

    hint: Build failures usually indicate a problem with the package
    """


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        pytest.param(
            "ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: 1.3.0, 1.4.1, 2.1)\n"
            "ERROR: No matching distribution found for numpy==99",
            "No matching distribution found for numpy==99",
            "Change 'numpy==99' in requirements.txt; versions of numpy for Python",
            id="pip-version",
        ),
        pytest.param(
            "ERROR: Could not find a version that satisfies the requirement no-such.package (from versions: none)\n"
            "ERROR: No matching distribution found for no-such.package (from -r requirements.txt (line 4))",
            "No matching distribution found for no-such.package",
            "Check the name: 'no-such.package' in requirements.txt",
            id="pip-name",
        ),
        pytest.param(
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(': Failed to establish a new"
            " connection: [Errno 111] Connection refused')': /simple/numpy/\n"
            "ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: none)\n"
            "ERROR: No matching distribution found for numpy==99",
            "No matching distribution found for numpy==99",
            "The package index cannot be reached",
            id="pip-network",
        ),
        pytest.param(
            "ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.\n\n"
            "The conflict is caused by:\n    The user requested requests==2.0\n    b 2 depends on requests>=2.31\n\n"
            "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io",
            "Cannot install a==1 and b==2 because these package versions have conflicting dependencies",
            "The user requested requests==2.0; b 2 depends on requests>=2.31; loosen",
            id="pip-conflict",
        ),
        pytest.param(
            "ERROR: Invalid requirement: 'not a req' (from line 1 of requirements.txt)",
            "Invalid requirement: 'not a req'",
            "Correct it in requirements.txt",
            id="pip-syntax",
        ),
        pytest.param(
            PIP_BUILD,
            "psycopg2 could not be built: psycopg/psycopgmodule.c:27:10: fatal error: libpq-fe.h: No such file or directory",
            "Change 'psycopg2==2.7' in requirements.txt to a version that has a wheel",
            id="pip-build",
        ),
        pytest.param(
            PIP_METADATA,
            "numpy==1.19.0 could not be built: ModuleNotFoundError: No module named 'distutils.msvccompiler'",
            "Change 'numpy==99' in requirements.txt to a version that has a wheel",
            id="pip-metadata",
        ),
        pytest.param(
            UV_BUILD,
            "psycopg2==2.7 could not be built: psycopg/psycopgmodule.c:685:18: error: invalid use of incomplete typedef",
            "Change 'psycopg2==2.7' in requirements.txt to a version that has a wheel",
            id="uv-build",
        ),
        pytest.param(
            "error: No solution found when resolving dependencies\n"
            "  cause: Because there is no version of numpy==99 and you require numpy==99, we can conclude that your"
            " requirements are unsatisfiable.",
            "No solution found when resolving dependencies: Because there is no version of numpy==99 and you require",
            "Change 'numpy==99' in requirements.txt",
            id="uv-version",
        ),
        pytest.param(
            "ERROR: Something else entirely", "Something else entirely", "Correct requirements.txt", id="other"
        ),
    ],
)  # fmt: skip
def test_the_reason_and_what_to_change(said: str, message: str, hint: str) -> None:
    reason = reason_of(textwrap.dedent(said).splitlines(), REQUIRED, "requirements.txt")
    assert reason
    assert reason.message.startswith(message)
    assert reason.hint.startswith(hint)
    assert len(reason.message) < 400


def test_an_installer_that_gives_no_reason() -> None:
    assert reason_of(["Collecting numpy", "Killed"], REQUIRED, "requirements.txt") is None


def test_a_silent_build_says_that_it_goes_on() -> None:
    told: list[str] = []
    twice, every = threading.Event(), []

    def regularly(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            twice.set()

    with told_regularly(every.append, regularly, seconds=0.01) as report:
        report("Collecting numpy")
        assert twice.wait(60)
    assert every == ["Collecting numpy"]
    assert told[-1].startswith("Still building after ")
    assert told[-1].endswith(" s: Collecting numpy")
    with told_regularly(None, None) as report:
        report("nobody hears it")
