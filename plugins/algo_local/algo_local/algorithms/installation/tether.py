"""Starts a program that ends with the process that started it: `python tether.py PARENT PROGRAM ARGUMENT...`.

An installer would otherwise go on, and write to the platform's directory, after a platform that was killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9


def tethered(command: Sequence[str]) -> list[str]:
    """The command that runs another one which is killed when this process ends; on Linux only, elsewhere the same.

    The thread that starts it has to wait for it: the kernel goes by threads.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-B", __file__, str(os.getpid()), *command]


def _main() -> None:
    import ctypes

    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it had ended before the kernel was told
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    _main()
