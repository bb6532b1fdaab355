"""Hints for failures of algorithms, found in the error messages of Python, Node.js, R and the platform."""

from __future__ import annotations

import re
import sys

_PACKAGES = {
    "algorithmia": "algorithmia",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "google": "google-cloud-core",
    "pil": "Pillow",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""The packages of modules that are named otherwise, in lower case."""

_MODULE = re.compile(r"No module named '([^']+)'(.*)", re.DOTALL)
_SCRIPT = re.compile(r"Cannot find (?:module|package) '([^']+)'(.*)", re.DOTALL)
_R_PACKAGE = re.compile(r"there is no package called '([^']+)'")
_PACKAGE = re.compile(r"(?:@[^/]+/)?[^/]+")
_SCRIPT_RESULT = re.compile(
    r"(?:Converting circular structure to JSON|Do not know how to serialize a BigInt).*", re.DOTALL
)
_R_RESULT = re.compile(
    r"No method (?:asJSON S3 class|for S4 class):.*|The result is of type \S+, which JSON cannot express"
)
_VARIABLE = re.compile(r"(?:.*\b)?([A-Z][A-Z0-9_]+) (?:is|was|must be) (?:not |un)?set\b.*", re.DOTALL)
_MISSING_KEY = re.compile(r"'([A-Za-z_][A-Za-z0-9_]*)'")
_NESTED = re.compile(r".*algorithm algo://(\S+) not found.*", re.DOTALL)
_RESULT = re.compile(r"Object of type (\S+) is not JSON serializable")
_SIGNATURE = re.compile(r"apply\(\) (?:takes|missing) .*positional arguments?\b.*", re.DOTALL)


def advice_on(message: str, stacktrace: str | None) -> str | None:
    """What to do about an algorithm's failure; None where nothing is known."""
    text = message.removeprefix("The call with the sample input failed: ")
    if match := _MODULE.fullmatch(text):
        return None if match[2] else _module(match[1])
    if match := _SCRIPT.fullmatch(text):
        return None if match[2].startswith(";") else _script(match[1])
    if match := _R_PACKAGE.fullmatch(text):
        return for_r_package(match[1])
    if _SCRIPT_RESULT.fullmatch(text):
        return "Return a string, a Buffer, or what JSON can express: convert it in apply"
    if _R_RESULT.fullmatch(text):
        return "Return a text, a raw vector, or what jsonlite can express: convert it in algorithm"
    if match := _NESTED.fullmatch(text):
        return (
            f"It calls the algorithm {match[1]}, which does not exist here: correct the name, or publish it with"
            " `algo local publish DIR`; see: algo algorithms list"
        )
    if match := _RESULT.fullmatch(text):
        return f"Return a str, bytes, or what JSON can express, not {match[1]}: convert it in apply"
    if _SIGNATURE.fullmatch(text):
        return "Define apply(input); with a load function, apply(input, loaded)"
    if match := _VARIABLE.fullmatch(text):
        return _variable(match[1])
    if (match := _MISSING_KEY.fullmatch(text)) and stacktrace and "os.environ[" in stacktrace:
        return _variable(match[1])
    return None


def for_r_package(package: str) -> str:
    """How a package is installed for all algorithms in R."""
    return (
        f"Install it in this machine's R library: Rscript -e 'install.packages(\"{package}\")' as its administrator"
        f" (Debian: apt-get install r-cran-{package.lower()})"
    )


def _module(name: str) -> str:
    top = name.partition(".")[0]
    if top == "src":
        return f"Check the name: there is no {name.replace('.', '/')}.py in the algorithm's directory"
    if top in sys.stdlib_module_names:
        return f"Check the name {name}: this Python's standard library does not have it"
    package = _PACKAGES.get(top.lower(), top)
    return f"Add {package} to the algorithm's requirements.txt"


def _script(name: str) -> str:
    """The advice for a module of JavaScript that is missing, by the name that it was required by."""
    if name.startswith((".", "/")) or not (package := _PACKAGE.match(name)):
        return "Check the path: it is relative to the file that requires it"
    return f"Add {package[0]} to the dependencies in the algorithm's package.json: npm install {package[0]}"


def _variable(name: str) -> str:
    return (
        f"Set it: `algo run ./DIR --env {name}=VALUE`; of a published algorithm: `algo secrets set OWNER/NAME {name}`"
    )
