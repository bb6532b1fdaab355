"""Compile the modules of a virtual environment in several processes; runs in the environment's Python.

`compileall` does the same for a third more processor time, most of which its process pool takes.

Imports the standard library only, and nothing that Python 3.6 does not have; see `supervisor.py`.
"""

import os
import py_compile
import sys

SKIPPED = {"test", "tests", "testing", "examples", "distutils", "f2py", "_pyinstaller", "__pycache__"}
"""Directories of what no algorithm loads: tests, and tools that build packages."""

PER_PROCESS = 64
"""Modules that pay for another process."""


def modules(library: str) -> "list[str]":
    """The modules below a directory, the largest first, so that the processes end together."""
    found = []
    for place, directories, names in os.walk(library):
        directories[:] = [name for name in directories if name not in SKIPPED]
        found += [os.path.join(place, name) for name in names if name.endswith(".py")]
    return sorted(found, key=lambda path: os.lstat(path).st_size, reverse=True)


def compile_all(paths: "list[str]") -> None:
    """Write a compiled file beside each module; files that do not compile, such as templates, are skipped."""
    for path in paths:
        try:
            py_compile.compile(path, doraise=True)
        except Exception:  # whatever it is: an algorithm that imports it is told
            pass


def main(library: str) -> None:
    """Compile what is below `library`."""
    paths = modules(library)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(1, min(processors, len(paths) // PER_PROCESS))
    children = []
    for number in range(1, count):
        child = os.fork()
        if child == 0:
            try:
                compile_all(paths[number::count])
            finally:
                os._exit(0)
        children.append(child)
    compile_all(paths[::count])
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1])
