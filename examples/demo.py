"""The user's guide, command by command, on a platform of its own: what `make demo` runs.

A throw-away root holds a served platform with the guide's algorithms; every command is run as a person would type it,
its output is shown as it comes and checked, and the picture with the marked face is kept in `--keep DIRECTORY`. What
the algorithms require is thrown away, unless `--environments DIRECTORY` names a place where the next run finds it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "demo"
ALGO = str(Path(sys.executable).with_name("algo"))

DOCUMENTS = {"docsList": ["It's apple picking season", "The apples are ready for picking"]}
FACES = {"images": [{"url": "data://.my/img_directory/friends.jpg", "output": "data://.algo/temp/detected_faces.png"}]}


class Demo:
    """Runs commands in a home of its own, shows them, and stops at the first that does not do as the guide says."""

    def __init__(self, root: Path) -> None:
        self.work = root / "work"
        self.work.mkdir()
        own = {
            "HOME": root,
            "ALGO_CONFIG_DIR": root / "config",
            "ALGO_CACHE_DIR": root / "cache",
            "ALGO_LOCAL_ROOT": root / "platform",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALGO", "XDG_"))}
        self.environ = {**kept, **{name: str(path) for name, path in own.items()}}
        self.steps = 0

    def run(self, *words: str, given: str = "", expect: str = "", quiet: bool = False) -> str:
        """Run `algo` with these words; `given` goes to its standard input, `expect` must be in what it prints."""
        if not quiet:
            self.steps += 1
            say(
                f"\n{self.steps:2}. $ algo {shlex.join(words)}"
                + ("   # the key comes on standard input" if given else "")
            )
        with subprocess.Popen(
            [ALGO, *words], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, encoding="utf-8", env=self.environ,
            cwd=self.work,
        ) as process:  # fmt: skip
            assert process.stdin
            assert process.stdout
            assert process.stderr
            with process.stdin as stdin:
                stdin.write(given)
            remarks = threading.Thread(target=follow, args=(process.stderr,))
            remarks.start()
            told = process.stdout.read()
            remarks.join()
        if told and not quiet:
            say(shortened(told))
        if process.returncode or expect not in told:
            sys.exit(f"That is not what the guide says (exit code {process.returncode}).\n{told}")
        return told

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve the platform on a free port; its address."""
        server = subprocess.Popen(
            [ALGO, "local", "serve", "--port", "0"], env=self.environ, stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stderr
            line = next((line for line in server.stderr if "http://" in line), None)
            if line is None:
                sys.exit("The platform could not be served")
            yield line.split()[-1]
        finally:
            server.terminate()
            server.wait(30)


def say(text: str) -> None:
    """Show a line to the person who watches."""
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()


def shortened(text: str, lines: int = 14) -> str:
    """The first lines of a long output, and how many more there are."""
    kept = text.rstrip().splitlines()
    return "\n".join(kept if len(kept) <= lines else [*kept[:lines], f"... ({len(kept) - lines} more lines)"])


def follow(remarks: IO[str]) -> None:
    """Show what a command says of its progress, line by line as it comes."""
    for line in remarks:
        say(f"    {line.partition(' (from ')[0]:.110}")


def publish(demo: Demo) -> None:
    """Publish the algorithms of the guide; the photograph for one of them is written as well."""
    say("Publishing the two algorithms of the guide. What they require is installed first: some minutes at most.")
    demo.run("-v", "local", "samples")


def main() -> None:
    """Follow the guide."""
    parser = argparse.ArgumentParser(description="The user's guide, command by command.")
    parser.add_argument("--environments", metavar="DIRECTORY", type=Path, help="keep there what the algorithms require")
    parser.add_argument("--keep", metavar="DIRECTORY", type=Path, default=KEPT, help="keep the picture there")
    given = parser.parse_args()
    kept: Path | None = given.environments
    picture: Path = given.keep.resolve() / "detected_faces.png"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="algo-demo-") as name:
        demo = Demo(Path(name))
        if kept:
            kept.mkdir(parents=True, exist_ok=True)
            (Path(name) / "platform").mkdir(mode=0o700)
            (Path(name) / "platform" / "environments").symlink_to(kept.resolve())
        publish(demo)
        keys = [demo.run("local", "key", "new", account, quiet=True).strip() for account in ("alice", "bob")]
        with demo.served() as address:
            guide(demo, picture, address, *keys)
    say(f"\n{demo.steps} commands did as the guide says, in {time.monotonic() - started:.0f} s.")
    say(f"The picture with the marked face: {os.path.relpath(picture)}")


def guide(demo: Demo, kept: Path, address: str, first_key: str, second_key: str) -> None:
    """The commands of the guide, in its order."""
    demo.run("auth", "--api-address", address, "--api-key-stdin", given=first_key, expect="alice")
    demo.run("ls", expect="alice/")
    demo.run("run", "demo/Hello", "-d", "HAL 9000", expect="Hello HAL 9000")
    topics = json.loads(demo.run("run", "nlp/LDA/1.0.0", "-j", json.dumps(DOCUMENTS), expect="picking"))
    assert isinstance(topics, list), topics
    demo.run("run", "demo/Hello", "-d", "HAL 9000", "--timeout", "60", "--output", "results.txt")
    assert (demo.work / "results.txt").read_text().rstrip() == "Hello HAL 9000"

    demo.run("mkdir", ".my/img_directory")
    demo.run("cp", "./friends.jpg", "data://.my/img_directory")
    demo.run("ls", ".my/img_directory", expect="friends.jpg")
    answer = json.loads(demo.run("run", "dlib/FaceDetection/0.2.1", "-j", json.dumps(FACES), expect="detected_faces"))
    assert answer["images"][0]["detected_faces"], "no face was found"
    demo.run("cp", "data://.algo/dlib/FaceDetection/temp/detected_faces.png", "./detected_faces.png")
    picture = (demo.work / "detected_faces.png").read_bytes()
    assert picture.startswith(b"\x89PNG"), "that is no picture"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(picture)

    second = ("--profile", "second_profile")
    demo.run("auth", *second, "--api-address", address, "--api-key-stdin", given=second_key, expect="bob")
    demo.run("run", "demo/Hello", "-d", "HAL 9000", *second, expect="Hello HAL 9000")

    demo.run("languages", expect="python3")
    environments = json.loads(demo.run("environment", "python3", expect="environment_specification_id"))
    demo.run("template", environments[0]["environment_specification_id"], "./my_algorithm")
    demo.run("local", "publish", "./my_algorithm", "alice/MyAlgorithm", "--version", "0.1.0")
    demo.run("run", "alice/MyAlgorithm", "-d", "Jane", expect="hello Jane")


if __name__ == "__main__":
    main()
