"""What requirements files say, and what of it is refused, with the file and the line."""

from __future__ import annotations

import pytest

from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_plugins.installer.outdated import Standing, _dependency
from algo_plugins.installer.process import HashMismatch, Unresolvable, run
from algo_plugins.installer.requirements_file import read
from algo_plugins.installer.tools import Locked

A, B = "sha256:" + "a" * 64, "sha384:" + "b" * 96


def contents(tmp_path, text: str, **options):
    file = tmp_path / "wanted.txt"
    file.write_text(text)
    return read([str(file)], **options)


def test_continued_lines_comments_and_files_within_files(tmp_path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text(f"-f wheels\nLib_Two[x]==2 --hash {B} --hash={A} # via acme\n")
    (tmp_path / "sub" / "wheels").mkdir()
    text = (
        "\ufeff# comment that ends in \\\n--index-url https://index.example/simple\n\n"
        f"acme-greet==1.0 ; python_version >= '3' \\\n    --hash={A} \\\n    --hash={B}\n    # via -r in\n"
        f"-r sub/more.txt\nat @ https://host/at-1.zip#egg=at --hash={A}\nacme-greet==1.0 ; python_version >= '3' --hash={A}\n"
    )
    found = contents(tmp_path, text)
    assert [want.name for want in found.requirements] == ["acme-greet", "lib-two", "at"]
    assert found.locked == Locked(
        ("--index-url https://index.example/simple", f"--find-links {tmp_path / 'sub' / 'wheels'}"),
        {"acme-greet": (A, B), "lib-two": (B, A), "at": (A,)},
    )
    assert found.locked.line(found.requirements[1].text) == f"Lib_Two[x]==2 --hash={B} --hash={A}"
    assert contents(tmp_path, "acme-greet>=1\nlib\n").locked == Locked()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"ok==1 --hash={A}\nacme-greet==1", "line 2: acme-greet==1 has no hash"),
        (f"\nacme-greet>=1 --hash={A}", "line 2: acme-greet>=1 has no exact version"),
        (f"acme-greet==1.* --hash={A}", "has no exact version"),
        (f". --hash={A}", "has no hash"),
        ("--require-hashes\nacme-greet==1", "has no hash"),
        ("acme-greet==1 --hash=md5:abc", "line 1: md5:abc is not a hash"),
        ("acme-greet==1 --hash=sha256:xyz", "is not a hash"),
        ("a\n\\\n-e ./here", "line 2: -e is not supported"),
        ("--trusted-host x", "--trusted-host is not supported"),
        ("what is this", "line 1: 'what is this' is not a requirement"),
        ("a==1\nA==2", "line 2: a is required differently in"),
        ("-r wanted.txt", "includes itself"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_line(tmp_path, monkeypatch, text: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="wanted") as refused:
        contents(tmp_path, text)
    assert words in refused.value.message


def test_hashes_can_be_required_and_files_must_exist(tmp_path) -> None:
    with pytest.raises(UsageError, match="has no hash"):
        contents(tmp_path, "acme-greet==1", require_hashes=True)
    for text in ("-r gone.txt", "./gone.whl"):
        with pytest.raises(NotFoundError, match="gone"):
            contents(tmp_path, text)


PIP_OTHER = """ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated
    acme-lib==1.0 from http://127.0.0.1/acme_lib-1.0-py3-none-any.whl (from -r /tmp/r.txt (line 2)):
        Expected sha256 0000
             Got        1111
"""
PIP_NONE = """ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do not:
    acme-lib from file:///x/acme_lib-1.0-py3-none-any.whl (from acme-greet==1.0->-r x (line 1))
"""
PIP_MISSING = """ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements here. Add them.
    acme-lib==1.0 --hash=sha256:1111
"""
UV_OTHER = """  x Failed to read `acme-lib==1.0`
  ╰─▶ Hash mismatch for `acme-lib==1.0`

      Expected:
        sha256:0000
"""


@pytest.mark.parametrize("said", [PIP_OTHER, PIP_NONE, PIP_MISSING, UV_OTHER])
def test_tools_name_the_distribution_whose_hash_is_wrong(tmp_path, said: str) -> None:
    (tmp_path / "said").write_text(said)
    with pytest.raises(HashMismatch, match=r"^acme-lib.*; nothing was changed$"):
        run("pip", ["sh", "-c", f"cat {tmp_path}/said; exit 1"], {"PATH": "/usr/bin:/bin"}, "install it")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("The conflict is caused by:\n    acme 2.0 depends on core\n    acme 2.0 depends on core>=90\n", "acme 2.0 needs core>=90"),
        ("Because acme>=2.0 depends on core>=90 and you require core==1, we can", "acme 2.0 needs core>=90"),
        ("Because only acme==2.0 is available and acme==2.0 depends on\n core>=90,<91, your", "acme 2.0 needs core>=90,<91"),
        ("something else", None),
    ],
)  # fmt: skip
def test_the_cause_of_a_conflict(said: str, cause: str | None) -> None:
    assert _dependency(Unresolvable(said).message) == cause


@pytest.mark.parametrize(
    ("installed", "latest", "outdated"),
    [("1.0", "1.0", False), ("1.0", "1.0.1", True), ("2.0", "1.9", False), (None, "1", True), ("1", None, False),
     ("9.0", "10.0", True), ("?", "1", False)],
)  # fmt: skip
def test_versions_are_compared_as_versions(installed: str | None, latest: str | None, outdated: bool) -> None:
    assert Standing("venv", "acme", installed, None, latest, None).is_outdated is outdated


def test_a_failure_that_is_none_of_hashes_stays_what_it_is() -> None:
    with pytest.raises(AlgoError) as failed:
        run("pip", ["sh", "-c", "echo Expected sha; exit 1"], {"PATH": "/usr/bin:/bin"}, "install it")
    assert type(failed.value) is AlgoError
