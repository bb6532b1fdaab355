"""A platform with three languages, archives made on the spot, and `algo` on a terminal."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from support.stub import KEY, Answer, StubPlatform, json_answer

from algo_core.testing import Home

ROOT = "/v1/algorithm-environments/edge"
SPECIFICATION = "36fd467e-fbfe-4ea6-aa66-df3f403b7132"
LANGUAGES = [
    {"name": "java11", "display_name": "Java OpenJDK 11.0 (Environments)", "configuration": "{}"},
    {"name": "python2", "display_name": "Python 2.x (Environments)", "configuration": "{}"},
    {"name": "python3", "display_name": "Python 3.x (Environments)", "configuration": "{}"},
]
ENVIRONMENTS = [
    {
        "id": "fd980f4f-1f1c-4b2f-a128-d60b40c6567a",
        "environment_specification_id": SPECIFICATION,
        "display_name": "Python 3.8 + TensorFlow GPU 2.3",
        "description": "Python 3.8 with TensorFlow 2.3",
        "created_at": "2020-12-21T21:47:53.239",
        "language": LANGUAGES[2],
        "machine_type": "GPU",
    },
    {
        "id": "a1111111-1f1c-4b2f-a128-d60b40c6567a",
        "environment_specification_id": "b2222222-fbfe-4ea6-aa66-df3f403b7132",
        "display_name": "Python 3.8",
        "description": "Generic Python 3.8, größer",
        "created_at": "2020-12-21T21:47:53.239",
        "language": LANGUAGES[2],
        "machine_type": "CPU",
    },
]


class Environments:
    """The routes of API section 5.1 on a stub platform."""

    answer = Answer
    json_answer = staticmethod(json_answer)

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self.languages(self.json_answer(LANGUAGES))
        for language in LANGUAGES:
            found = ENVIRONMENTS if language["name"] == "python3" else []
            self.environments(language["name"], self.json_answer({"environments": found}))

    def languages(self, *answers: Any) -> None:
        self.stub.on("GET", f"{ROOT}/languages", *answers)

    def environments(self, language: str, *answers: Any) -> None:
        self.stub.on("GET", f"{ROOT}/languages/{language}/environments", *answers)

    def template(self, *answers: Any, specification: str = SPECIFICATION) -> None:
        """What the template route answers; bytes are an archive."""
        gzipped = {"Content-Type": "application/gzip"}
        made = [self.answer(200, answer, gzipped) if isinstance(answer, bytes) else answer for answer in answers]
        self.stub.on("GET", f"{ROOT}/environment-specifications/{specification}/template", *made)

    @property
    def paths(self) -> list[str]:
        """What was asked for, below the common root."""
        return [seen.path.removeprefix(ROOT) for seen in self.stub.seen]


@pytest.fixture
def environments() -> Iterator[Environments]:
    with StubPlatform() as stub:
        yield Environments(stub)


@pytest.fixture
def home(algo_home: Home, environments: Environments) -> Home:
    """A home whose default profile is that of `alice` on the stub platform."""
    algo_home.write_config(f'[profiles.default]\naddress = "{environments.stub.address}"\napi_key = "{KEY}"\n')
    return algo_home


class Archives:
    """Makes archives, good and evil."""

    @staticmethod
    def entry(name: str, content: bytes = b"", **members: Any) -> tuple[tarfile.TarInfo, bytes]:
        """A file, or with `type` something else; `members` are those of `tarfile.TarInfo`."""
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for member, value in members.items():
            setattr(info, member, value)
        return info, content

    def directory(self, name: str) -> tuple[tarfile.TarInfo, bytes]:
        return self.entry(name, type=tarfile.DIRTYPE, mode=0o755)

    @staticmethod
    def packed(*entries: tuple[tarfile.TarInfo, bytes], gzipped: bool = True, **options: Any) -> bytes:
        """An archive of these entries."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz" if gzipped else "w", **options) as archive:
            for info, content in entries:
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()


@pytest.fixture
def archives() -> Archives:
    return Archives()
