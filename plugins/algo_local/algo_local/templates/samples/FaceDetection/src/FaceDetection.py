"""Finds faces in photographs, and draws a box around each."""

import io

import Algorithmia
import requests
from Algorithmia import ADK
from PIL import Image

from .faces import draw_boxes, find_faces, load_detector

DEFAULT_OUTPUT = "data://.algo/temp/"
FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG"}
WEB_TIMEOUT = 30  # seconds
MAX_BYTES = 64 * 1024 * 1024

client = Algorithmia.client()


class InputError(Exception):
    """The caller sent something that this algorithm does not take."""

    error_type = "InputError"


def requested(input):
    """Pairs of the address of a photograph and the data URI that the picture with boxes goes to."""
    images = input.get("images") if isinstance(input, dict) else None
    if not isinstance(images, list) or not images:
        raise InputError('the input must be an object with the member "images", a list of at least one photograph')
    pairs = []
    for number, image in enumerate(images):
        image = {"url": image} if isinstance(image, str) else image
        url = image.get("url") if isinstance(image, dict) else None
        if not isinstance(url, str) or "://" not in url or url.startswith("file:"):
            raise InputError('image {}: "url" must be a data URI or a web URL'.format(number + 1))
        output = image.get("output", "{}detected_faces_{}.png".format(DEFAULT_OUTPUT, number + 1))
        if not isinstance(output, str) or "://" not in output or output.startswith(("file:", "http:", "https:")):
            raise InputError('image {}: "output" must be a data URI'.format(number + 1))
        if output.rpartition(".")[2].lower() not in FORMATS:
            raise InputError('image {}: "output" must end in one of: {}'.format(number + 1, ", ".join(sorted(FORMATS))))
        pairs.append((url, output))
    return pairs


def read_photograph(url):
    try:
        if url.startswith(("http://", "https://")):
            with requests.get(url, timeout=WEB_TIMEOUT, stream=True) as response:
                response.raise_for_status()
                content = response.raw.read(MAX_BYTES + 1, decode_content=True)
        else:
            content = client.file(url).getBytes()
    except Exception as error:
        raise InputError("cannot read {}: {}".format(url, error))
    if len(content) > MAX_BYTES:
        raise InputError("{} is larger than {} bytes".format(url, MAX_BYTES))
    try:
        return Image.open(io.BytesIO(content))
    except Exception:
        raise InputError("{} is not a picture in a format that is understood here".format(url))


def write_picture(picture, output):
    content = io.BytesIO()
    picture.save(content, FORMATS[output.rpartition(".")[2].lower()])
    client.file(output).put(content.getvalue())


def load():
    return load_detector()


def apply(input, detector):
    results = []
    for url, output in requested(input):
        photograph, faces = find_faces(detector, read_photograph(url))
        write_picture(draw_boxes(photograph, faces), output)
        results.append({"url": url, "output": output, "detected_faces": faces})
    return {"images": results}


algorithm = ADK(apply, load)
algorithm.init()
