"""What `algo languages`, `algo environment` and `algo template` show: languages, their environments, their templates.

The values are those of the platform (API section 5), so that scripts which look for one of its names or ids find them.
What can really be published here is Python 3; each environment's description says what becomes of the others.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from algo_local.algorithms.interpreters import python_named_in

_TEMPLATES = Path(__file__).parents[1] / "templates"

HELLO = _TEMPLATES / "hello"
"""The source of the algorithm that every embedded platform starts with; it requires nothing, so it is there at once."""

SAMPLES = _TEMPLATES / "samples"
"""The sources of the other algorithms of the user's guide, which require packages."""

HELLO_VERSIONS = ((0, 1, 0), (0, 1, 1), (1, 0, 0))
"""What it is published as: clients' documents and test suites name the first two."""


@dataclass(frozen=True, slots=True)
class _Language:
    name: str
    display_name: str
    artifacts: tuple[tuple[str, str], ...]
    req_files: tuple[str, ...] = ()

    def shape(self) -> dict[str, str]:
        configuration: dict[str, Any] = {"display_name": self.display_name}
        if self.req_files:
            configuration["req_files"] = list(self.req_files)
        configuration["artifacts"] = [
            {"source": source, "destination": destination} for source, destination in self.artifacts
        ]
        return {
            "name": self.name,
            "display_name": self.display_name,
            "configuration": json.dumps(configuration, separators=(",", ":")),
        }


@dataclass(frozen=True, slots=True)
class _Environment:
    language: str
    display_name: str
    description: str
    id: str
    specification_id: str
    machine_type: str = "CPU"
    created_at: str = "2020-12-21T21:47:53.239"
    requirements: tuple[str, ...] = ()
    """What its template requires beyond that of its language."""

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "environment_specification_id": self.specification_id,
            "display_name": self.display_name,
            "description": self.description,
            "created_at": self.created_at,
            "language": _LANGUAGES[self.language].shape(),
            "machine_type": self.machine_type,
        }


def _kept(*paths: str) -> tuple[tuple[str, str], ...]:
    return tuple((path, path + "/") for path in paths)


_LANGUAGES = {
    language.name: language
    for language in (
        _Language(
            "anaconda3",
            "Conda (Environments) - beta",
            _kept("/home/algo/.cache", "/home/algo/anaconda_environment", "/opt/algorithm"),
            ("environment.yml",),
        ),
        _Language(
            "csharp-dotnet-core2",
            "C# .NET Core 2.x+ (Environments)",
            (
                ("/opt/algorithm/bin/Release/*/*", "/opt/algorithm/"),
                *_kept("/opt/algorithm/resources", "/home/algo/.nuget"),
            ),
        ),
        _Language(
            "java11",
            "Java OpenJDK 11.0 (Environments)",
            (
                ("/opt/algorithm/target/*.jar", "/opt/algorithm/target/algorithm.jar"),
                *_kept("/opt/algorithm/target/lib"),
            ),
        ),
        _Language(
            "python2",
            "Python 2.x (Environments)",
            _kept("/home/algo/.local", "/opt/algorithm"),
            ("requirements.txt",),
        ),
        _Language(
            "python3",
            "Python 3.x (Environments)",
            _kept("/home/algo/.local", "/opt/algorithm"),
            ("requirements.txt",),
        ),
        _Language(
            "r36",
            "R 3.6.x (Environments)",
            _kept("/opt/algorithm", "/usr/local/lib/R/site-library"),
            ("packages.txt",),
        ),
        _Language(
            "scala-2",
            "Scala 2.x & sbt 1.3.x (Environments)",
            (("/opt/algorithm/target/universal/stage", "/opt/algorithm/stage/"),),
        ),
    )
}

_TEMPLATE_ONLY = "(template only: this platform runs Python 3)"
_HERE = "(here: that Python if this machine has it, else the platform's own, with packages from the index)"

_ENVIRONMENTS = (
    _Environment(
        "anaconda3",
        "Conda - Python 3.8",
        f"Python 3.8 from an environment.yml {_TEMPLATE_ONLY}",
        "4153a500-2344-4eaa-b5d0-172fab433409",
        "160a0f99-7507-4459-9a2f-06aa24d6bdeb",
    ),
    _Environment(
        "csharp-dotnet-core2",
        "C# .NET Core 2.x",
        f"Generic .NET Core 2 installation {_TEMPLATE_ONLY}",
        "c113bcea-0679-40f7-9805-ff8b65b2fb1e",
        "7eece66b-03b9-4393-b963-315e1036c277",
    ),
    _Environment(
        "java11",
        "Java OpenJDK 11.0",
        f"Generic OpenJDK 11 installation {_TEMPLATE_ONLY}",
        "35bb9b51-ae67-432c-a514-88f9191ba863",
        "5cda2085-d7d8-4a50-9730-304899d4ffde",
    ),
    _Environment(
        "python2",
        "Python 2.7",
        f"Generic Python 2.7 installation {_TEMPLATE_ONLY}",
        "717d36e0-222c-44a0-9aa8-06f4ebc1b82a",
        "f626effa-e519-431e-9d7a-0d3a7563ae1e",
    ),
    _Environment(
        "python2",
        "Python 2.7 + GPU support",
        f"Generic Python 2.7 installation with GPU support {_TEMPLATE_ONLY}",
        "6f57e041-54e0-4e1a-8b2f-4589bb2c06f8",
        "faf81400-eb15-4f64-81c0-3d4ed7181e77",
        "GPU",
    ),
    _Environment(
        "python3",
        f"Python 3.{sys.version_info.minor}",
        "Generic Python 3 installation: this machine's, with what the algorithm requires in an environment of its own",
        "6f55bf02-13b6-454c-a867-909aba60a897",
        "0057588b-b42c-4454-a391-87b90f854116",
    ),
    _Environment(
        "python3",
        "Python 3.8 + TensorFlow GPU 2.3",
        f"Python with TensorFlow 2 {_HERE}",
        "fd980f4f-1f1c-4b2f-a128-d60b40c6567a",
        "36fd467e-fbfe-4ea6-aa66-df3f403b7132",
        "GPU",
        requirements=("tensorflow>=2.3",),
    ),
    _Environment(
        "python3",
        "Python 3.7 + MXNet 1.3.1",
        f"Python with MXNet {_HERE}",
        "ea8f42fe-ea59-4eab-920a-09176729b4fa",
        "c6d34b46-0851-455d-97f5-ea8fd8b70552",
        "GPU",
        requirements=("mxnet>=1.3.1",),
    ),
    _Environment(
        "python3",
        "Python 3.7 + PyTorch 1.7.x",
        f"Python with PyTorch {_HERE}",
        "d7e931d9-f54e-4093-bfc8-b6bc0b3c72af",
        "02b3117b-08c3-4575-8982-a7038c139c5e",
        "GPU",
        requirements=("torch>=1.7",),
    ),
    _Environment(
        "r36",
        "R 3.6.x",
        f"Generic R 3.6 installation {_TEMPLATE_ONLY}",
        "58b4a5c5-1b07-4bd4-ad0e-99e99455741a",
        "353bf5fa-09ac-4402-9a5c-d3e3f45d6f56",
    ),
    _Environment(
        "scala-2",
        "Scala 2.x & sbt 1.3.x",
        f"Generic Scala 2 and sbt 1.3 installation {_TEMPLATE_ONLY}",
        "2c547f05-f497-4878-97f2-7eccb0eefe35",
        "d6e74129-2240-420e-86e9-f79abc7d665b",
    ),
)


_PYTHON_3 = "6f55bf02-13b6-454c-a867-909aba60a897"


def languages() -> list[dict[str, str]]:
    """The language objects, by name (API section 5.2); `configuration` is JSON in a string."""
    return [language.shape() for language in _LANGUAGES.values()]


def environments(language: str | None = None) -> list[dict[str, Any]]:
    """The environment objects of one language, or of all (API section 5.2). Raises KeyError for an unknown language."""
    if language is not None and language not in _LANGUAGES:
        raise KeyError(language)
    return [environment.shape() for environment in _ENVIRONMENTS if language in (None, environment.language)]


def python_of(environment_id: str | None) -> tuple[int, ...]:
    """The version of Python that an environment has; empty if it names none."""
    known = {environment.id: environment for environment in _ENVIRONMENTS if environment.language == "python3"}
    found = known.get(environment_id or "")
    return python_named_in(found.display_name) if found else ()


@cache
def template_archive(specification_id: str) -> bytes:
    """The template of an environment as a gzip-compressed tar, placeholders and all (API section 5.3).

    The same bytes at each call. Raises KeyError for an unknown environment specification.
    """
    known = {environment.specification_id: environment for environment in _ENVIRONMENTS}
    environment = known[specification_id.lower()]
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", mtime=0, fileobj=buffer) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in _files_of(environment):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def template_files(environment_id: str | None = None) -> list[tuple[str, bytes]]:
    """Names and contents of a template's files, placeholders and all: of an environment, or of Python 3 in general."""
    known = {environment.id: environment for environment in _ENVIRONMENTS}
    return _files_of(known.get(environment_id or "") or known[_PYTHON_3])


def _files_of(environment: _Environment) -> list[tuple[str, bytes]]:
    directory = _TEMPLATES / environment.language
    files = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_file() or "__pycache__" in name:
            continue
        content = path.read_bytes()
        if name == "requirements.txt":
            content += "".join(f"{line}\n" for line in environment.requirements).encode()
        files.append((name, content))
    return files
