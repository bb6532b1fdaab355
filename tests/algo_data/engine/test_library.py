"""The engine alone, between two storages in memory: nothing of commands, terminal or platform is imported."""

from __future__ import annotations

import subprocess
import sys
import textwrap

ALONE = '''
import io, sys
from algo_core.errors import NotFoundError, ExitCode
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory, Storage
from algo_core.storage.uri import DataUri
from algo_data.engine import run_transfers
from algo_data.engine.failures import SourceIsDirectory
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.planner import plan
from algo_data.engine.plan.sync import plan_sync
from algo_data.engine.transfer import Place


class Memory(Storage):
    """Files by their paths; directories come about with what is in them."""

    needs_directories = False

    def __init__(self, files=()):
        self.files = dict(files)

    def stat(self, uri):
        path = uri.path.strip("/")
        if path in self.files:
            return Entry(uri, Kind.FILE, size=len(self.files[path]))
        if not path or any(name.startswith(path + "/") for name in self.files):
            return Entry(uri, Kind.DIRECTORY)
        raise NotFoundError(f"{uri} does not exist")

    def list(self, uri):
        if not self.stat(uri).is_directory:
            raise NotADirectory(f"{uri} is a file")
        path = uri.path.strip("/")
        prefix = path + "/" if path else ""
        below = {name[len(prefix):].partition("/")[0] for name in self.files if name.startswith(prefix)}
        found = [self.stat(uri.child(name)) for name in sorted(below)]
        yield from sorted(found, key=lambda entry: not entry.is_directory)

    def open(self, uri, offset=0, *, version=None):
        entry = self.stat(uri)
        if entry.is_directory:
            raise IsADirectory(f"{uri} is a directory")
        reader = io.BytesIO(self.files[uri.path.strip("/")])
        reader.seek(offset)
        reader.entry, reader.offset = entry, offset
        return reader

    def write(self, uri, source, size=None):
        content = bytearray()
        buffer = bytearray(1000)
        while count := source.readinto(buffer):
            content += buffer[:count]
        self.files[uri.path.strip("/")] = bytes(content)
        return self.stat(uri)

    def mkdir(self, uri): pass
    def rmdir(self, uri, *, force=False): return 0
    def remove(self, uri): del self.files[uri.path.strip("/")]


class Silent:
    def __init__(self): self.failures = []
    def planned(self, transfer): pass
    def started(self, transfer): pass
    def advanced(self, transfer, position, size): pass
    def finished(self, transfer, entry): pass
    def copied(self, several): pass
    def failed(self, what, error): self.failures.append(error)


one = Memory({"a/b": b"1" * 5000, "a/c/d": b"2", "e": b"3"})
other = Memory({"a/b": b"old", "x": b"only here"})
storages = {"one": one, "two": other}
observer = Silent()
uri = lambda scheme, path: DataUri(scheme, path)
made = plan([uri("one", "a")], uri("two", "copy"), lambda found: storages[found.scheme], observer.failed, CopyOptions(is_recursive=True))
run_transfers(made, observer, CopyOptions(tries=0))
assert other.files["copy/b"] == b"1" * 5000 and other.files["copy/c/d"] == b"2", other.files
places = Place(one, uri("one", "")), Place(other, uri("two", ""))
extra = []
run_transfers(plan_sync(*places, observer.failed, lambda *found: extra.append(found[0]), CopyOptions()), observer, CopyOptions(tries=0))
assert {name: other.files[name] for name in one.files} == one.files
assert "x" in extra and "e" not in extra, extra
list(plan([uri("one", "a/")], uri("two", "t"), lambda found: storages[found.scheme], observer.failed, CopyOptions()))
(failure,) = observer.failures
assert isinstance(failure, SourceIsDirectory) and failure.hint is None
known = ("algo_core.cli", "algo_core.commands", "algo_core.context", "algo_core.plugins", "algo_core.settings",
         "algo_core.terminal", "algo_data.commands", "algo_data.hosted", "algo_data.local", "algo_data.reporting", "click")
print(sorted(name for name in sys.modules if name.startswith(known)))
'''


def test_it_copies_and_compares_trees_and_imports_nothing_of_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(ALONE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
