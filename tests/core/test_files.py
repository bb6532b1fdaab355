import os
import stat
from pathlib import Path

import pytest

from algo_core.files import replacing


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
