"""The running core as a wheel, so that another environment gets the same one.

However this core was installed (from an index, from a file, editable from a working tree), its package and its metadata
are on the disk; packing them needs neither an index nor a build backend.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import algo_core
from algo_core.errors import ConfigError
from algo_core.plugins.recorded import CORE
from algo_plugins.installer.present import distributions

_WHEEL = "Wheel-Version: 1.0\nGenerator: algo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def pack(folder: Path) -> Path:
    """Write the wheel into a folder.

    Raises:
        ConfigError: if the core's metadata are not installed.
    """
    core = distributions().get(CORE)
    metadata = core.read_text("METADATA") if core else None
    if core is None or not metadata:
        raise ConfigError(f"{CORE} is not installed, but runs from its source", f"Install it with: pipx install {CORE}")
    stem = f"{CORE.replace('-', '_')}-{core.version}"
    info = f"{stem}.dist-info"
    record = []
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            *_package(),
            (f"{info}/METADATA", metadata.encode()),
            (f"{info}/WHEEL", _WHEEL.encode()),
            (f"{info}/entry_points.txt", (core.read_text("entry_points.txt") or "").encode()),
        ):
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    return wheel


def _package() -> Iterator[tuple[str, bytes]]:
    home = Path(algo_core.__file__).parent
    for path in sorted(home.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(home.parent).as_posix(), path.read_bytes()
