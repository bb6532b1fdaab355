"""JSON results are printed as the platform wrote them: no digit, name or escape is another, whatever Python makes of it."""

from __future__ import annotations

import json
import random

import pytest

from algo_core.errors import ExitCode
from algo_run.json_text import decoded, indented, member, on_one_line

RESULTS = {
    "beyond a double": "1e400",
    "a long decimal": "3.14159265358979323846264338327950288419716939937510",
    "5,000 digits": "9" * 5000,
    "negative zero and exponents": "[-0.0, 1E5, 1e-400, 0.10]",
    "a name twice": '{"b": 1, "a": 2, "b": 3}',
    "an order": '{"z": 1, "a": 2, "10": 3, "9": 4}',
    "escapes": r'["\u00e4", "ä", "\/", "\ud83d", "\ud83d\ude80", "\b"]',
    "a long integer in a name's value": '{"id": 12345678901234567890123456789012345678901234567890}',
    "what looks like structure": r'["{\"a\":[1,  2]}", "]", "  ,  :  "]',
    "empty ones": '{"a": {}, "b": [], "": [[], {}]}',
}


@pytest.mark.parametrize("text", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("spacing", ["compact", "spaced", "indented"])
def test_a_result_is_printed_as_it_was_written(home, algorithm, on_terminal, text: str, spacing: str) -> None:
    written = {"compact": compact(text), "spaced": text, "indented": indented(text, 7)}[spacing]
    body = '{"result": 1, "metadata":{"content_type":"json","duration":0.10},\n"result" : ' + written + "}"
    algorithm.answers(algorithm.answer(200, body.encode(), {"Content-Type": "application/json"}))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.text, done.stderr) == (ExitCode.OK, text + "\n", "")
    assert home.run("run", "demo/Echo", "-d", "x", "-o", "file").code == ExitCode.OK
    assert (home.root / "file").read_text("utf-8") == text + "\n"
    code, shown = on_terminal(home, "run", "demo/Echo", "-d", "x")
    assert (code, on_one_line(shown)) == (ExitCode.OK, text)
    whole = home.run("run", "demo/Echo", "-d", "x", "--json").text
    assert on_one_line(whole) == on_one_line(body)
    assert '    "duration": 0.10\n' in whole


def compact(text: str) -> str:
    return "".join(token for token in _tokens(on_one_line(text)))


def _tokens(text: str):
    within = escaped = False
    for character in text:
        if within or character != " ":
            yield character
        within ^= character == '"' and not escaped
        escaped = within and character == "\\" and not escaped


def test_a_batch_records_results_as_they_were_written(home, algorithm) -> None:
    text = '{"b":1e400,"a":0.10,"b":' + "7" * 5000 + "}"
    body = '{"result":' + text + ',"metadata":{"content_type":"json"}}'
    algorithm.answers(algorithm.answer(200, body.encode()), path="/v1/algo/demo/Echo/1.0.0")
    done = home.run("run", "demo/Echo/1.0.0", "--each-line", "-", input="x\n")
    assert done.code == ExitCode.OK, done.stderr
    assert f'"result":{text},' in done.text
    assert home.run("run", "demo/Echo/1.0.0", "--each-line", "-", "-o", "out.csv", input="x\n").code == ExitCode.OK
    assert text.replace('"', '""') in (home.root / "out.csv").read_text()


@pytest.mark.parametrize(
    "body", ["{", '{"result": 1e}', '{"result": 01}', '{"result": "x\x01"}', "[1]", '{"a": 1}', ""]
)
def test_what_is_no_result_is_still_told(home, algorithm, body: str) -> None:
    algorithm.answers(algorithm.answer(200, body.encode(), {"Content-Type": "application/json"}))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.text) == (ExitCode.PLATFORM, "")


def value(depth: int = 0) -> object:
    kind = random.random()
    if depth > 4 or kind < 0.4:
        return random.choice([1, -2.5, None, True, "", 'q"\\,:{}[] é\n', "\ud83d", 10**30, "result"])
    if kind < 0.7:
        return [value(depth + 1) for _ in range(random.randrange(4))]
    return {f"{random.choice(['result', 'a', ',:'])}{n}": value(depth + 1) for n in range(random.randrange(4))}


def test_the_layout_is_that_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(1)
    for _ in range(2000):
        made = value()
        for text in (json.dumps(made), json.dumps(made, indent=3), json.dumps(made, separators=(",", ":"))):
            assert on_one_line(text) == json.dumps(made)
            assert indented(text) == json.dumps(made, indent=2)
        text = json.dumps({"error": None, "result": made, "z": [made]}, indent=random.choice([None, 1]))
        assert json.loads(member(text, "result") or "") == made
        assert member(text, "other") is None
    assert member("{}", "result") is None


def test_halves_of_pairs_become_escapes() -> None:
    assert decoded('["\ud83d"]'.encode("utf-8", "surrogatepass")) == r'["\ud83d"]'
    assert decoded('{"ä": 1}'.encode("utf-16")) == '{"ä": 1}'
