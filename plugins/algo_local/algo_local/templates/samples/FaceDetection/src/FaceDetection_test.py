import numpy
import pytest
from PIL import Image
from skimage import data

from .faces import COLOUR, draw_boxes, find_faces, load_detector

# Where the face is in scikit-image's portrait of an astronaut, in pixels.
FACE = {"left": 170, "top": 60, "right": 280, "bottom": 190}


@pytest.fixture(scope="module")
def detector():
    return load_detector()


@pytest.fixture
def portrait():
    return Image.fromarray(data.astronaut())


def inside(face, width=1.0):
    middle = (face["left"] + face["right"]) / 2 / width, (face["top"] + face["bottom"]) / 2 / width
    return FACE["left"] < middle[0] < FACE["right"] and FACE["top"] < middle[1] < FACE["bottom"]


def test_finds_the_one_face(detector, portrait):
    _, faces = find_faces(detector, portrait)
    assert len(faces) == 1
    assert inside(faces[0])


def test_tells_positions_in_the_photograph_however_large(detector, portrait):
    _, faces = find_faces(detector, portrait.resize((1536, 1536)))
    assert len(faces) == 1
    assert inside(faces[0], 3.0)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_takes_any_kind_of_picture(detector, portrait, mode):
    _, faces = find_faces(detector, portrait.convert(mode))
    assert len(faces) == 1


def test_finds_none_where_there_is_none(detector):
    noise = numpy.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=numpy.uint8)
    assert find_faces(detector, Image.fromarray(noise))[1] == []
    assert find_faces(detector, Image.new("RGB", (5, 5)))[1] == []


def test_draws_a_box_on_a_copy(portrait):
    picture = draw_boxes(portrait, [FACE])
    assert picture.getpixel((FACE["left"], FACE["top"])) == COLOUR
    assert portrait.getpixel((FACE["left"], FACE["top"])) != COLOUR
