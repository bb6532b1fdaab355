"""Starts a program that ends with the process that started it: `python tether.py PARENT PROGRAM ARGUMENT...`.

Otherwise an installer would keep writing to the platform's directory after the platform was killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9


def tethered(command: Sequence[str]) -> list[str]:
    """A command that runs `command` and is killed when this process ends; on systems other than Linux, `command`
    itself.

    The thread that starts it must wait for it: Linux signals the death of the thread, not of the process.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-B", __file__, str(os.getpid()), *command]


def _main() -> None:
    import ctypes

    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # the parent had ended before the kernel was asked to signal its death
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    _main()
