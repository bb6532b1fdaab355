"""The catalogue of languages, environments and templates (`algo languages`, `algo environment`, `algo template`).

Names and ids are those of the hosted platform (API section 5), so that scripts find them. Only languages that this
machine runs are listed: the installed versions of Python 3, JavaScript with Node.js, and R.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from algo_local.algorithms.configuration import NAME as CONFIGURATION
from algo_local.algorithms.languages.interpreters import OLDEST, installed, ours, python_named_in
from algo_local.algorithms.languages.node import find_node
from algo_local.algorithms.languages.rscript import find_r

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
            "javascript",
            "JavaScript, Node.js (Environments)",
            _kept("/opt/algorithm"),
            ("package.json",),
        ),
        _Language(
            "python3",
            "Python 3.x (Environments)",
            _kept("/home/algo/.local", "/opt/algorithm"),
            ("requirements.txt",),
        ),
        _Language("r", "R (Environments)", _kept("/opt/algorithm"), ("packages.txt",)),
    )
}

ELSEWHERE = {
    "anaconda3": ("4153a500-2344-4eaa-b5d0-172fab433409",),
    "csharp-dotnet-core2": ("c113bcea-0679-40f7-9805-ff8b65b2fb1e",),
    "java11": ("35bb9b51-ae67-432c-a514-88f9191ba863",),
    "python2": ("717d36e0-222c-44a0-9aa8-06f4ebc1b82a", "6f57e041-54e0-4e1a-8b2f-4589bb2c06f8"),
    "r36": ("58b4a5c5-1b07-4bd4-ad0e-99e99455741a",),
    "scala-2": ("2c547f05-f497-4878-97f2-7eccb0eefe35",),
}
"""Languages of the platform that this one does not run, and the ids of their environments, for its errors."""

_HERE = "(here: that Python if this machine has it, else the platform's own, with packages from the index)"

_PYTHON_3 = "6f55bf02-13b6-454c-a867-909aba60a897"
_NODE = "0d1f0b0e-5c1d-4b5e-9a55-4f5c5c0a7f11"
_R = "8b0a2b57-59d6-4f0a-9f7e-6f1c0f0f4a36"
_NAMESPACE = uuid.UUID(_PYTHON_3)
_NEWEST_MINOR = 20
"""The last minor version of Python 3 whose environment has an id; which of them are listed depends on the machine."""

_ENVIRONMENTS = (
    _Environment(
        "python3",
        f"Python 3.{sys.version_info.minor}",
        "Generic Python 3 installation: this machine's, with what the algorithm requires in an environment of its own",
        _PYTHON_3,
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
    *(
        _Environment(
            "python3",
            f"Python 3.{minor}",
            f"Generic Python 3.{minor} installation, with what the algorithm requires in an environment of its own",
            str(uuid.uuid5(_NAMESPACE, f"environment of Python 3.{minor}")),
            str(uuid.uuid5(_NAMESPACE, f"specification of Python 3.{minor}")),
        )
        for minor in range(OLDEST[1], _NEWEST_MINOR + 1)
        if minor != sys.version_info.minor
    ),
    _Environment(
        "javascript",
        "Node.js",
        "This machine's Node.js, with what package.json requires in an environment of its own, installed by npm",
        _NODE,
        "c4f0a8a2-6d8f-4c0e-8a53-5b0a1f6de2b7",
    ),
    _Environment(
        "r",
        "R",
        "This machine's R, with the packages that its library has",
        _R,
        "3d9b6a0e-2a77-4c43-8c7a-1f6f3d6f9b52",
    ),
)

_VERSIONED = {
    one.specification_id
    for one in _ENVIRONMENTS
    if one.description.startswith("Generic Python 3.") and one.id != _PYTHON_3
}
"""The templates that ask for one version of Python."""


def languages() -> list[dict[str, str]]:
    """The objects of the languages that this machine runs, by name (API section 5.2); `configuration` is JSON."""
    return [language.shape() for language in _LANGUAGES.values() if _runs(language.name)]


def environments(language: str | None = None) -> list[dict[str, Any]]:
    """The environment objects of one language, or of all that this machine runs (API section 5.2).

    Raises:
        KeyError: for an unknown language, or one that this machine does not run.
    """
    if language is not None and not _runs(language):
        raise KeyError(language)
    found = [one for one in _ENVIRONMENTS if one.language == language or (language is None and _runs(one.language))]
    return [environment.shape() for environment in found if _is_there(environment)]


def _runs(language: str) -> bool:
    if language == "javascript":
        return find_node() is not None
    return language == "python3" or (language == "r" and find_r() is not None)


def _is_there(environment: _Environment) -> bool:
    """Whether this machine has an environment's language version; environments with a framework accept any Python."""
    if environment.language != "python3" or "+" in environment.display_name:
        return True
    wanted = python_named_in(environment.display_name)
    if ours().version[: len(wanted)] == wanted:
        return True
    return any(python.version[: len(wanted)] == wanted for python in installed())


def find_environment(identifier: str) -> dict[str, Any] | None:
    """The object of an environment that is listed, by its own id or that of its template; None if there is none."""
    for one in _ENVIRONMENTS:
        if identifier.lower() in {one.id, one.specification_id} and _runs(one.language) and _is_there(one):
            return one.shape()
    return None


def python_of(environment_id: str | None) -> tuple[int, ...]:
    """The version of Python that an environment has; empty if it names none."""
    known = {environment.id: environment for environment in _ENVIRONMENTS if environment.language == "python3"}
    found = known.get(environment_id or "")
    return python_named_in(found.display_name) if found else ()


@cache
def template_archive(specification_id: str) -> bytes:
    """The template of an environment as a gzip-compressed tar, placeholders and all (API section 5.3).

    The same bytes at each call. Raises KeyError for an unknown environment specification, or one of a language that
    this machine does not run.
    """
    known = {environment.specification_id: environment for environment in _ENVIRONMENTS}
    environment = known[specification_id.lower()]
    if not _runs(environment.language):
        raise KeyError(specification_id)
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


def template_files(environment_id: str | None = None, language: str = "python3") -> list[tuple[str, bytes]]:
    """Names and contents of a template's files, placeholders and all: of an environment, else of a language."""
    known = {environment.id: environment for environment in _ENVIRONMENTS}
    general = {"javascript": _NODE, "r": _R}
    return _files_of(known.get(environment_id or "") or known[general.get(language, _PYTHON_3)])


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
        if name == CONFIGURATION and environment.language == "python3" and environment.specification_id in _VERSIONED:
            named = environment.display_name.lower().replace(" ", "")
            content = content.replace(b'"python3"', f'"{named}"'.encode())
        files.append((name, content))
    return files
