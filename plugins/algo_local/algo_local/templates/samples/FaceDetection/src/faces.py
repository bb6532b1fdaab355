"""The detector itself: pictures in, rectangles out. Knows nothing of the platform."""

import numpy
from PIL import Image, ImageDraw, ImageOps
from skimage import data
from skimage.feature import Cascade

LONGEST_SIDE = 800  # pixels; larger photographs are searched scaled down
SMALLEST_FACE = 40  # pixels, in the picture that is searched
AGREEING = 8  # overlapping hits that make a face; fewer are mostly none
COLOUR = (0, 230, 90)


def load_detector():
    """A cascade trained on frontal faces, from files that come with scikit-image."""
    return Cascade(data.lbp_frontal_face_cascade_filename())


def find_faces(detector, photograph):
    """The photograph upright and in RGB, and the rectangles of its faces in pixels, largest first."""
    photograph = ImageOps.exif_transpose(photograph).convert("RGB")
    searched = photograph.copy()
    searched.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    shortest = min(searched.size)
    if shortest < SMALLEST_FACE:
        return photograph, []
    found = detector.detect_multi_scale(
        img=numpy.asarray(searched),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST_FACE, SMALLEST_FACE),
        max_size=(shortest, shortest),
        min_neighbor_number=AGREEING,
    )
    scale = photograph.width / searched.width
    faces = [
        {
            "left": round(face["c"] * scale),
            "top": round(face["r"] * scale),
            "right": round((face["c"] + face["width"]) * scale),
            "bottom": round((face["r"] + face["height"]) * scale),
        }
        for face in found
    ]
    return photograph, sorted(faces, key=lambda face: face["left"] - face["right"])


def draw_boxes(photograph, faces):
    """A copy with a box around each face."""
    picture = photograph.copy()
    pen = ImageDraw.Draw(picture)
    for face in faces:
        corners = [face["left"], face["top"], face["right"], face["bottom"]]
        pen.rectangle(corners, outline=COLOUR, width=max(2, picture.width // 200))
    return picture
