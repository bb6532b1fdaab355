"""Languages, environments and templates: the documented values, and templates of their layout."""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from pathlib import Path

import pytest
from support.programs import needs

from algo_local.algorithms import catalog
from algo_local.algorithms.languages.interpreters import Python

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

LAYOUT = {
    "python3": ".adk algorithmia.conf requirements.txt src/__ALGO__.py src/__ALGO___test.py src/__init__.py",
    "javascript": "algorithmia.conf package.json src/__ALGO__.js src/__ALGO___test.js",
    "r": "algorithmia.conf packages.txt src/__ALGO__.R src/__ALGO___test.R",
}


@pytest.fixture(autouse=True)
def programs() -> None:
    needs("node")
    needs("Rscript")


def unpack(archive: bytes, directory: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(directory, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(directory)
    return directory


def specification(title: str) -> str:
    found = [item for item in catalog.environments() if item["display_name"].startswith(title)]
    return str(found[0]["environment_specification_id"])


def test_the_languages_of_the_platform() -> None:
    shown = [(language["name"], language["display_name"]) for language in catalog.languages()]
    assert shown == [
        ("javascript", "JavaScript, Node.js (Environments)"),
        ("python3", "Python 3.x (Environments)"),
        ("r", "R (Environments)"),
    ]


def test_only_what_the_machine_runs_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    identities = [catalog.environments(name)[0]["environment_specification_id"] for name in ("javascript", "r")]
    monkeypatch.setenv("ALGO_LOCAL_NODE", "off")
    monkeypatch.setenv("ALGO_LOCAL_R", "off")
    assert [language["name"] for language in catalog.languages()] == ["python3"]
    assert {found["language"]["name"] for found in catalog.environments()} == {"python3"}
    catalog.template_archive.cache_clear()
    for language, identity in zip(("javascript", "r"), identities, strict=True):
        with pytest.raises(KeyError):
            catalog.environments(language)
        with pytest.raises(KeyError):
            catalog.template_archive(identity)
        assert catalog.find_environment(identity) is None


def test_an_environment_for_each_python_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    other = 9 if sys.version_info.minor != 9 else 10
    found = Python((3, other, 1), f"/opt/python3.{other}", "/opt")
    monkeypatch.setattr(catalog, "installed", lambda: (found,))
    plain = [item for item in catalog.environments("python3") if "+" not in item["display_name"]]
    assert {item["display_name"] for item in plain} == {f"Python 3.{sys.version_info.minor}", f"Python 3.{other}"}
    (item,) = (item for item in plain if item["display_name"] == f"Python 3.{other}")
    files = dict(catalog.template_files(item["id"]))
    assert json.loads(files["algorithmia.conf"])["language"] == f"python3.{other}"
    assert catalog.python_of(item["id"]) == (3, other)
    monkeypatch.setattr(catalog, "installed", lambda: ())
    assert catalog.find_environment(item["id"]) is None


def test_a_languages_configuration_is_json_in_a_string() -> None:
    language = next(language for language in catalog.languages() if language["name"] == "python3")
    assert json.loads(language["configuration"]) == {
        "display_name": "Python 3.x (Environments)",
        "req_files": ["requirements.txt"],
        "artifacts": [
            {"source": "/home/algo/.local", "destination": "/home/algo/.local/"},
            {"source": "/opt/algorithm", "destination": "/opt/algorithm/"},
        ],
    }


def test_every_language_has_an_environment_with_ids_of_its_own() -> None:
    everything = catalog.environments()
    ids = [item[key] for item in everything for key in ("id", "environment_specification_id")]
    assert all(UUID.fullmatch(each) for each in ids)
    assert len(set(ids)) == len(ids)
    for language in catalog.languages():
        listed = catalog.environments(language["name"])
        assert listed
        assert all(item["language"] == language for item in listed)
        assert all(item in everything for item in listed)


def test_a_known_environment_has_its_documented_ids() -> None:
    found = [item for item in catalog.environments("python3") if "TensorFlow GPU 2.3" in item["display_name"]]
    assert len(found) == 1
    assert found[0]["id"] == "fd980f4f-1f1c-4b2f-a128-d60b40c6567a"
    assert found[0]["environment_specification_id"] == "36fd467e-fbfe-4ea6-aa66-df3f403b7132"
    assert found[0]["machine_type"] == "GPU"
    assert list(found[0]) == [
        "id",
        "environment_specification_id",
        "display_name",
        "description",
        "created_at",
        "language",
        "machine_type",
    ]


def test_unknown_languages_and_specifications() -> None:
    for unknown in ("cobol", "r36", "java11"):
        with pytest.raises(KeyError):
            catalog.environments(unknown)
    with pytest.raises(KeyError):
        catalog.template_archive("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("language", LAYOUT)
def test_a_template_holds_the_documented_files(language: str) -> None:
    identity = catalog.environments(language)[0]["environment_specification_id"]
    archive = catalog.template_archive(identity)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        entries = tar.getmembers()
        assert all(entry.isreg() and entry.mode == 0o644 and entry.mtime == 0 for entry in entries)
        assert sorted(entry.name for entry in entries) == LAYOUT[language].split()
        configuration = tar.extractfile("algorithmia.conf")
        assert configuration is not None
        members = json.load(configuration)
    assert (members["username"], members["algoname"]) == ("__USER__", "__ALGO__")


def test_archives_are_the_same_each_time() -> None:
    identity = specification("Node")
    first = catalog.template_archive(identity)
    catalog.template_archive.cache_clear()
    assert catalog.template_archive(identity.upper()) == first


def test_framework_templates_require_their_framework(tmp_path: Path) -> None:
    directory = unpack(catalog.template_archive(specification("Python 3.7 + PyTorch")), tmp_path / "t")
    assert (directory / "requirements.txt").read_text() == "algorithmia>=1.0.0,<2.0\ntorch>=1.7\n"
