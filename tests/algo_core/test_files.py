import glob
import os
import stat
from pathlib import Path

import pytest
from support.ordinary import ordinary_rights

from algo_core.files import matching, replacing, status_of


def test_the_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    with replacing(file) as new:
        new.write(b"new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    with pytest.raises(RuntimeError), replacing(file) as new:
        new.write(b"half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link") as new:
        new.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_modes(tmp_path: Path) -> None:
    old_umask = os.umask(0o027)
    try:
        with replacing(tmp_path / "fresh") as new:
            new.write(b"")
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640
    (tmp_path / "fresh").chmod(0o755)
    with replacing(tmp_path / "fresh") as new:
        new.write(b"x")
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o755
    with replacing(tmp_path / "secret", mode=0o600) as new:
        new.write(b"x")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_devices_are_written_to_and_directories_refused(tmp_path: Path) -> None:
    with replacing(Path(os.devnull)) as device:
        device.write(b"gone")
    with pytest.raises(IsADirectoryError), replacing(tmp_path):
        pass


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, replacing(tmp_path / "missing" / "f"):
        pass
    assert caught.value.filename == str(tmp_path / "missing" / "f")


def test_only_what_is_not_there_is_absent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "file").write_text("x")
    for path in ("missing", "nowhere", "file/below", "missing/below"):
        assert status_of(tmp_path / path) is None
    assert status_of(tmp_path / "nowhere", follow_symlinks=False) is not None
    for path in ("itself", "n" * 300):
        with pytest.raises(OSError):
            status_of(tmp_path / path)
    (tmp_path / "closed").chmod(0)
    with ordinary_rights(), pytest.raises(PermissionError):
        status_of(tmp_path / "closed" / "file")
    (tmp_path / "closed").chmod(0o755)


PATTERNS = (
    "*",
    "*.txt",
    "a/*",
    "a/**",
    "**/*.txt",
    "**",
    "*/b?/[xy].txt",
    "a/x.txt",
    "a/../a/*",
    ".*",
    "**/.h*",
    "a/*/",
    "none/*",
)


@pytest.fixture
def written_files(tmp_path: Path) -> Path:
    for name in ("x.txt", "a/x.txt", "a/b1/y.txt", "a/b1/.hidden", "a/b2/c/x.txt", ".h/x.txt", "d.txt/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_the_files_that_it_means_elsewhere(
    written_files: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written_files)
    for given in (pattern, f"{written_files}/{pattern}", f"./{pattern}"):
        expected = sorted(path for path in glob.glob(given, recursive=True) if os.path.isfile(path))
        assert sorted(path for path in matching(given) if os.path.isfile(path)) == expected


@pytest.mark.parametrize("pattern", ["**/*.txt", "a/*/*", "*/*/x.txt"])
def test_a_pattern_passes_over_nothing_that_cannot_be_listed(written_files: Path, pattern: str) -> None:
    (written_files / "a" / "b1").chmod(0)
    with ordinary_rights(), pytest.raises(PermissionError):
        list(matching(f"{written_files}/{pattern}"))
    (written_files / "a" / "b1").chmod(0o755)
