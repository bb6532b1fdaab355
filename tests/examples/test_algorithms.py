"""The example algorithms: built from their requirements, called through the platform's API, on real input.

Both environments are installed once for all tests (some 600 MB, from the package index).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.embedded import embedded_session
from support.shared import shared_environments

from algo_local.algorithms.build import Build
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.web.app import Application

ALGORITHMS = Path(__file__).parents[2] / "examples" / "algorithms"
GUIDE = ["It's apple picking season", "The apples are ready for picking"]

Call = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    root = tmp_path_factory.mktemp("platform")
    shared_environments(tmp_path_factory, root)
    platform = open_platform(root)
    platform.publish(ALGORITHMS / "LDA", "nlp", "LDA", "1.0.0")
    platform.publish(ALGORITHMS / "FaceDetection", "dlib", "FaceDetection", "0.2.1")
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def call(platform: Platform) -> Iterator[Call]:
    """A request by the platform's own person: `call("POST", "algo/nlp/LDA", json=...)`."""
    with embedded_session(Application(platform, trusted=True)) as session:
        yield lambda method, path, **options: session.request(method, f"local:/v1/{path}", **options)


def build_of(platform: Platform, directory: str, owner: str) -> Build:
    """The build that was published; building the same again finds it."""
    return platform.builder.build(ALGORITHMS / directory, owner, directory)


def in_environment(build: Build, program: str, *arguments: str) -> str:
    """Run a program with what the algorithm requires; returns what it prints."""
    command = [str(build.python), "-I", "-B", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=build.source)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def photograph(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A portrait that comes with the detector's own library, as a camera would have saved it."""
    path = tmp_path_factory.mktemp("photograph") / "portrait.jpg"
    program = "import sys; from PIL import Image; from skimage import data; Image.fromarray(data.astronaut()).save(sys.argv[1])"
    in_environment(build_of(platform, "FaceDetection", "dlib"), program, str(path))
    return path.read_bytes()


@pytest.mark.parametrize(("directory", "owner"), [("LDA", "nlp"), ("FaceDetection", "dlib")])
def test_its_own_tests_pass(platform: Platform, directory: str, owner: str) -> None:
    build = build_of(platform, directory, owner)
    # The test runner is ours, without its plugins; all else is from the algorithm's environment, looked at first.
    program = "import sys; sys.path[:0] = ['']; sys.path.append(sys.argv.pop()); import pytest; sys.exit(pytest.main())"
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir=.", "-c", "/dev/null", "src"]
    done = subprocess.run(
        [str(build.python), "-I", "-B", "-c", program, *options, str(Path(pytest.__file__).parents[1])],
        capture_output=True,
        text=True,
        cwd=build.source,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_topics_of_the_guides_documents(call: Call) -> None:
    answer = call("POST", "algo/nlp/LDA/1.0.0", json={"docsList": GUIDE}).json()
    assert answer["metadata"]["content_type"] == "json"
    topics = answer["result"]
    merged: dict[str, int] = {}
    for topic in topics:
        assert topic
        assert not merged.keys() & topic.keys()
        merged.update(topic)
    assert merged == {"picking": 2, "apple": 1, "apples": 1, "ready": 1, "season": 1}


def test_topics_of_documents_in_hosted_data(call: Call) -> None:
    assert call("POST", "data/.my", json={"name": "documents"}).ok
    for number, text in enumerate(GUIDE):
        assert call("PUT", f"data/.my/documents/{number}.txt", data=text.encode()).ok
    addresses = [f"data://.my/documents/{number}.txt" for number in range(len(GUIDE))]
    told = call("POST", "algo/nlp/LDA/1.0.0", json={"docsList": GUIDE}).json()["result"]
    assert call("POST", "algo/nlp/LDA/1.0.0", json={"docsList": addresses}).json()["result"] == told


@pytest.mark.parametrize(
    ("reference", "given", "part"),
    [
        ("nlp/LDA/1.0.0", {"docsList": []}, "at least one document"),
        ("nlp/LDA/1.0.0", {"docsList": ["data://.my/nowhere/x"]}, "cannot read the document data://.my/nowhere/x"),
        ("dlib/FaceDetection/0.2.1", {"images": [{}]}, "image 1"),
        ("dlib/FaceDetection/0.2.1", {"images": [{"url": "file:///etc/passwd"}]}, "must be a data URI or a web URL"),
        ("dlib/FaceDetection/0.2.1", {"images": [{"url": "data://.my/nowhere/x"}]}, "cannot read data://.my/nowhere/x"),
        (
            "dlib/FaceDetection/0.2.1",
            {"images": [{"url": "data://.my/x/y", "output": "data://.algo/temp/x"}]},
            "end in",
        ),
    ],
)
def test_bad_input_is_the_callers_fault(call: Call, reference: str, given: Any, part: str) -> None:
    answer = call("POST", f"algo/{reference}", json=given)
    assert answer.status_code == 200
    error = answer.json()["error"]
    assert part in error["message"]
    assert error["error_type"] == "InputError"


def test_the_face_in_a_photograph(call: Call, platform: Platform, photograph: bytes, tmp_path: Path) -> None:
    assert call("POST", "data/.my", json={"name": "img_directory"}).ok
    assert call("PUT", "data/.my/img_directory/friends.jpg", data=photograph).ok
    image = {"url": "data://.my/img_directory/friends.jpg", "output": "data://.algo/temp/detected_faces.png"}
    answer = call("POST", "algo/dlib/FaceDetection/0.2.1", json={"images": [image]}).json()
    (result,) = answer["result"]["images"]
    (face,) = result["detected_faces"]
    assert (result["url"], result["output"]) == (image["url"], image["output"])
    assert 170 < (face["left"] + face["right"]) / 2 < 280
    assert 60 < (face["top"] + face["bottom"]) / 2 < 190

    picture = call("GET", "data/.algo/dlib/FaceDetection/temp/detected_faces.png")
    assert picture.content.startswith(b"\x89PNG")
    (tmp_path / "boxes.png").write_bytes(picture.content)
    pixels = (
        "import sys; from PIL import Image; p = Image.open(sys.argv[1]); print(p.size, p.getpixel(eval(sys.argv[2])))"
    )
    corner = str((face["left"], face["top"]))
    told = in_environment(build_of(platform, "FaceDetection", "dlib"), pixels, str(tmp_path / "boxes.png"), corner)
    assert told == "(512, 512) (0, 230, 90)"


def test_a_file_that_is_no_picture(call: Call) -> None:
    call("POST", "data/.my", json={"name": "texts"})
    assert call("PUT", "data/.my/texts/a.jpg", data=b"words").ok
    answer = call("POST", "algo/dlib/FaceDetection/0.2.1", json={"images": ["data://.my/texts/a.jpg"]}).json()
    assert "not a picture" in answer["error"]["message"]


def test_the_examples_run_on_the_python_that_runs_this(platform: Platform) -> None:
    version = in_environment(build_of(platform, "LDA", "nlp"), "import sys; print(sys.version_info[:2])")
    assert version == str(tuple(sys.version_info[:2]))


def test_the_samples_command_brings_the_photograph(platform: Platform, tmp_path: Path) -> None:
    environ = {**os.environ, "ALGO_LOCAL_ROOT": str(platform.root), "ALGO_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "algo_core", "local", "samples"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, check=True)
    assert done.stdout == "nlp/LDA/1.0.0 is published already\ndlib/FaceDetection/0.2.1 is published already\n"
    assert "algo cp friends.jpg data://.my/img_directory" in done.stderr
    assert (tmp_path / "friends.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
