"""Describes faults of configuration files: file, line, probable intention, and the repair."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from algo_core.errors import ConfigError
from algo_core.settings import schema
from algo_core.settings.config import Config, toml_loads
from algo_core.settings.schema import Fault
from algo_core.text import decoded


@functools.lru_cache(maxsize=2)
def faults_of(config: Config, *, without_plugins: bool = False) -> tuple[Fault, ...]:
    """The faults of all files, the administrator's first; `without_plugins` leaves out the settings that they declare.

    Which plugins may load is read from these files, so it is found out without them.
    """
    site, user = (schema.SITE, schema.USER) if without_plugins else schema.with_declared(config.settings)
    found = [fault for layer in config.sites for fault in schema.faults(layer.file, layer.table, site, user)]
    return (*found, *schema.faults(config.user_file, config.user, user, site))


def check(
    config: Config, concerns: Callable[[Fault], bool] = lambda fault: True, *, without_plugins: bool = False
) -> None:
    """Refuse to continue with faulty files.

    Raises:
        ConfigError: with the first relevant fault, and its repair.
    """
    if wrong := [fault for fault in faults_of(config, without_plugins=without_plugins) if concerns(fault)]:
        raise described(wrong, config.user_file)


def described(faults: Sequence[Fault], user_file: str) -> ConfigError:
    """The error for faulty files: the first fault, and the number of others."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more: see algo doctor)" if len(faults) > 1 else ""
    return ConfigError(sentence(first) + more, advice(first, user_file))


def sentence(fault: Fault) -> str:
    """The text of a fault: its file, its line and the probable name."""
    line = line_of(fault)
    where = f"{fault.file}, line {line}" if line else fault.file
    return f"{where}: {fault.text}" + (f": did you mean {fault.meant!r}?" if fault.meant else "")


def advice(fault: Fault, user_file: str) -> str:
    """The hint for a fault: who can repair it, and how."""
    if fault.file != user_file:
        return f"Ask this machine's administrator to correct {fault.file}"
    return f"Correct it there (algo config edit), or remove it with: `algo config unset {shlex.quote(fault.key)}`"


def line_of(fault: Fault) -> int | None:
    """The line on which a member begins: the first line without which the file does not contain it.

    TOML parsers do not report lines. So the file is parsed up to each line with the member's name, but only if there is
    a fault.
    """
    try:
        with open(fault.file, "rb") as file:
            lines = decoded(file.read()).splitlines(keepends=True)
    except (OSError, ValueError):
        return None
    for number, line in enumerate(lines, 1):
        if fault.path[-1] in line and not _has(lines[: number - 1], fault.path):
            # A value may go on for lines: the file can be read again where it ends.
            end = next((n for n in range(number, len(lines) + 1) if _readable(lines[:n])), None)
            if end and _has(lines[:end], fault.path):
                return number
    return None


def _readable(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return toml_loads("".join(lines))
    except ValueError:
        return None


def _has(lines: Sequence[str], path: Sequence[str]) -> bool:
    found: Any = _readable(lines)
    for name in path:
        if isinstance(found, list) and found:
            found = found[-1]
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True
