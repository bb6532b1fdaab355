"""What mends the failures that algorithms report in the words of Python and of the platform's clients."""

from __future__ import annotations

import pytest

from algo_local.advice import advice_on

TRACE = 'File "src/A.py", line 1\n    os.environ["TOKEN"]\nKeyError'


@pytest.mark.parametrize(
    ("message", "stacktrace", "expected"),
    [
        ("No module named 'numpy'", None, "Add numpy to the algorithm's requirements.txt"),
        ("No module named 'sklearn.cluster'", None, "Add scikit-learn to"),
        ("No module named 'PIL'", None, "Add Pillow to"),
        ("No module named 'src.nope.deep'", None, "there is no src/nope/deep.py"),
        ("No module named 'xml.nope'", None, "standard library does not have it"),
        ("No module named 'helpers'; src/helpers is imported with: from . import helpers", None, None),
        ("The call with the sample input failed: No module named 'numpy'", None, "Add numpy"),
        ("FOO is not set", None, "`algo run ./DIR --env FOO=VALUE`"),
        ("the variable API_KEY must be set first", None, "--env API_KEY=VALUE"),
        ("'TOKEN'", TRACE, "`algo secrets set OWNER/NAME TOKEN`"),
        ("'TOKEN'", "KeyError", None),
        ("'TOKEN'", None, None),
        ("algorithm algo://demo/Nope not found", None, "calls the algorithm demo/Nope, which does not exist"),
        ("API error: algorithm algo://demo/Nope/1.0.0 not found", None, "demo/Nope/1.0.0"),
        ("Object of type ndarray is not JSON serializable", TRACE, "not ndarray: convert it in apply"),
        ("apply() takes 0 positional arguments but 1 was given", None, "Define apply(input)"),
        ("apply() missing 1 required positional argument: 'model'", None, "apply(input, loaded)"),
        ("helper() takes 0 positional arguments but 1 was given", TRACE, None),
        ("division by zero", TRACE, None),
        ("Cannot find module 'lodash/fp'", None, "package.json: npm install lodash"),
        ("Cannot find package '@a/b' imported from /opt/algorithm/src/Hello.mjs", None, "npm install @a/b"),
        ("Cannot find module './nope'", None, "Check the path"),
        ("Cannot find module 'helper'; src/helper.js is loaded with: require('./helper')", None, None),
        ("process.exit(1) was called while it was loading: TOKEN is not set", None, "--env TOKEN=VALUE"),
        ("there is no package called 'MASS'", None, "apt-get install r-cran-mass"),
        ("No method asJSON S3 class: lm", None, "convert it in algorithm"),
        ("No method for S4 class:P", None, "convert it in algorithm"),
        ("The result is of type closure, which JSON cannot express", None, "convert it in algorithm"),
        ("quit(status = 1) was called while it was loading: TOKEN is not set", None, "--env TOKEN=VALUE"),
        ("Do not know how to serialize a BigInt", None, "a Buffer, or what JSON can express"),
        ("", None, None),
    ],
)
def test_advice(message: str, stacktrace: str | None, expected: str | None) -> None:
    advice = advice_on(message, stacktrace)
    assert advice is None if expected is None else expected in (advice or "")
