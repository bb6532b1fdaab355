"""`algo reports` on the embedded platform."""

from __future__ import annotations

import pytest

from algo_core.testing import Home, Platform, assert_plugin_well_formed


@pytest.fixture
def home(algo_platform: Platform) -> Home:
    """A home whose platform holds three files in two collections."""
    home = algo_platform.home
    assert home.run("mkdir", ".my/pictures", ".my/texts").code == 0
    for path, content in (
        (".my/pictures/large.png", b"x" * 3000),
        (".my/pictures/small.png", b"x" * 30),
        (".my/texts/note.txt", b"twelve bytes"),
    ):
        assert home.run("cp", "-", path, input=content).code == 0
    return home


def test_it_is_well_formed() -> None:
    assert_plugin_well_formed("algo-reports")


def test_usage_is_added_up_by_directory(home: Home) -> None:
    result = home.run("reports", "usage")
    assert result.text == (
        "Directory            Files  Bytes\n"
        "data://.my/pictures  2      3030\n"
        "data://.my/texts     1      12\n"
    )  # fmt: skip
    assert home.run("reports", "usage", "--json").json == [
        {"directory": "data://.my/pictures", "files": 2, "bytes": 3030},
        {"directory": "data://.my/texts", "files": 1, "bytes": 12},
    ]


def test_a_limit_has_an_exit_code_of_its_own(home: Home) -> None:
    assert home.run("reports", "usage", "--limit", "3042").code == 0
    over = home.run("reports", "usage", "--limit", "3k", "--json")
    assert (over.code, over.error["used"], over.error["limit"]) == (64, 3042, 3000)
    assert len(over.json) == 2


def test_the_largest_files_come_first(home: Home) -> None:
    found = home.run("--json", "reports", "largest", "data://.my", "-n", "2").json
    assert found == [
        {"file": "data://.my/pictures/large.png", "bytes": 3000},
        {"file": "data://.my/pictures/small.png", "bytes": 30},
    ]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--min-size", "0.02k"], ["large.png", "small.png"]),
        (["--min-size", "1kB"], ["large.png"]),
        (["--since", "2000-01-01"], ["large.png", "small.png", "note.txt"]),
        (["--since", "2999-01-01"], []),
    ],
)
def test_the_options_choose_the_files(home: Home, options: list[str], names: list[str]) -> None:
    found = home.run("reports", "largest", *options, "--json").json
    assert [row["file"].rpartition("/")[2] for row in found] == names


def test_a_report_is_published(home: Home) -> None:
    usage = home.run("reports", "usage", "--json").json
    result = home.run("reports", "publish", ".my/texts/usage.json")
    content = home.run("cat", ".my/texts/usage.json")
    assert (result.text, content.json) == (f".my/texts/usage.json: {len(content.stdout)} bytes\n", usage)
    here = home.run("reports", "publish", "--json", "usage.json", ".my/pictures")
    assert (here.json["file"], (home.root / "usage.json").stat().st_size) == ("usage.json", here.json["bytes"])


def test_a_report_is_replaced_with_leave_only(home: Home) -> None:
    file = home.root / "usage.json"
    file.write_text("mine")
    asked = home.run("reports", "publish", "./usage.json", input="y\n")
    assert (asked.code, file.read_text()) == (2, "mine")
    assert "There is nobody to ask: 'Replace ./usage.json?'\nhint: Give the answer with --yes" in asked.stderr
    assert home.run("reports", "publish", "./usage.json", "--yes").code == 0
    assert file.read_text() != "mine"


def test_a_report_goes_through_an_algorithm(home: Home) -> None:
    assert home.run("reports", "publish", "--through", "demo/Hello", "hello").code == 0
    assert (home.root / "hello").read_text("utf-8").startswith("Hello ")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--through", "demo/Nothing", "file"], 5, "demo/Nothing"),
        (["--through", "Nothing", "file"], 2, "Not an algorithm"),
        ([".my/nowhere/file"], 5, ".my/nowhere"),
        ([".my/texts"], 2, "is a directory"),
    ],
)
def test_a_report_that_cannot_be_published_leaves_nothing(home: Home, words: list[str], code: int, said: str) -> None:
    result = home.run("reports", "publish", *words)
    assert (result.code, said in result.stderr, (home.root / "file").exists()) == (code, True, False)


def test_the_options_are_explained_as_a_group(algo_home: Home) -> None:
    for report in ("usage", "largest"):
        text = algo_home.run("reports", report, "--help").text
        assert "  Which files: " in text
        assert "\n    --min-size SIZE" in text
        assert "Global options:" in text


def test_directories_are_completed(home: Home) -> None:
    assert home.complete("reports", "") == ["largest", "publish", "usage"]
    assert home.complete("reports", "usage", "") == [".my/pictures", ".my/texts"]
    assert home.complete("reports", "usage", "data://.my/pi") == ["data://.my/pictures"]
    assert home.complete("reports", "usage", "nowhere://") == []


def test_any_storage_can_be_reported_on(home: Home) -> None:
    folder = home.root / "folder" / "below"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"12345")
    (folder.parent / "beside").write_bytes(b"1")
    found = home.run("reports", "usage", folder.parent, "--json").json
    assert found == [
        {"directory": str(folder), "files": 1, "bytes": 5},
        {"directory": str(folder.parent), "files": 1, "bytes": 1},
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["usage", "--min-size", "big"], 2),
        (["usage", "--since", "soon"], 2),
        (["usage", ".my/nothing"], 5),
        (["nope"], 2),
    ],
)
def test_what_is_wrong_is_said(home: Home, words: list[str], code: int) -> None:
    result = home.run("--json", "reports", *words)
    assert (result.code, bool(result.error["message"])) == (code, True)
