"""`algo show`: describe an algorithm, with example calls."""

from __future__ import annotations

import json
import shlex
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_core.storage.uri import AlgorithmRef
from algo_manage import api
from algo_manage.completion import algorithm_argument

SAMPLE = '"HAL 9000"'
"""The input in the lines for an algorithm that has no sample of its own."""
SHOWN_VERSIONS = 10
_NESTED = 6


@click.command()
@algorithm_argument
@pass_app
def show(app: App, algorithm: str) -> None:
    """Show how to use an algorithm: README, versions, sample input and calls.

    \b
    Example:
      algo show demo/Hello
    """
    ref = api.named(app, algorithm)
    with api.suggesting(app, ref):
        found = app.api.get_json(api.path_of(ref))
        # Some platforms list builds here that are no versions.
        versions = [entry for entry in api.pages(app, api.path_of(ref, "versions")) if _number(entry)]
    chosen = next((entry for entry in versions if _number(entry) == ref.version), found)
    name = "/".join(part for part in (api.member(found, "owner") or ref.owner, api.member(found, "name")) if part)
    reference = f"{name}/{ref.version or _number(chosen)}".rstrip("/")
    is_newest = _number(chosen) == _number(found)
    described = found if is_newest else app.api.get_json(api.path_of(ref, f"versions/{_number(chosen)}"))
    sample = str(api.member(chosen, "version_info", "sample_input"))
    shown = {
        "algorithm": name,
        "label": api.member(found, "details", "label"),
        "tagline": api.member(found, "details", "tagline"),
        "readme": _readme(app, ref) or str(api.member(found, "details", "summary")),
        "versions": [_number(entry) for entry in versions],
        "sample_input": sample,
        "sample_output": api.member(chosen, "version_info", "sample_output"),
        "schemas": api.member(described, "schemas") or {},
        "calls": calls(app.api.address, reference, sample or _example(api.member(described, "schemas", "input"))),
    }
    if app.output.is_json:
        app.output.json(shown)
    else:
        _print(app, shown)


def _example(schema: Any) -> str:
    """An input in JSON for an algorithm that has no sample: one of the kind that its schema wants."""
    return json.dumps(_fitting(schema, _NESTED), ensure_ascii=False) if isinstance(schema, dict) else SAMPLE


def _fitting(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth == 0:
        return json.loads(SAMPLE)
    for name in ("examples", "enum"):
        if isinstance(schema.get(name), list) and schema[name]:
            return schema[name][0]
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            return _fitting(schema[name][0], depth - 1)
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: _fitting(properties.get(name), depth - 1) for name in schema.get("required") or properties}
    if kind == "array":
        return [_fitting(schema["items"], depth - 1)] if "items" in schema else []
    plain: dict[str, Any] = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.5), "boolean": True}
    return {**plain, "null": None}.get(str(kind), json.loads(SAMPLE))


def _number(entry: Any) -> str:
    return str(api.member(entry, "version_info", "semantic_version"))


def _readme(app: App, ref: AlgorithmRef) -> str:
    """The README of the newest version; empty if the platform does not serve it."""
    try:
        return str(api.member(app.api.get_json(api.path_of(ref, "readme")), "content"))
    except AlgoError:
        return ""


def calls(address: str, reference: str, sample: str) -> dict[str, str]:
    """The lines that call an algorithm on a sample input, JSON or text: `algo`, curl, Python."""
    try:
        value = json.loads(sample)
    except ValueError:
        value, sample = sample, json.dumps(sample)
    plain = isinstance(value, str) and not value.startswith("-")
    given = f"-t {shlex.quote(value)}" if plain else f"-j {shlex.quote(sample)}"
    served = address if address.startswith("http") else "http://127.0.0.1:8080"
    return {
        "algo": f"algo run {reference} {given}",
        "curl": (
            f"curl -X POST -H 'Content-Type: application/json'"
            f' -H "Authorization: Simple $ALGORITHMIA_API_KEY"'
            f" -d {shlex.quote(sample)} {served}/v1/algo/{reference}"
        ),
        "python": f'Algorithmia.client(api_address="{served}").algo("{reference}").pipe({value!r}).result',
    }


def _print(app: App, shown: dict[str, Any]) -> None:
    output = app.output
    output.line(shown["algorithm"])
    for name in ("label", "tagline"):
        if shown[name] and shown[name] != shown["algorithm"].rpartition("/")[2]:
            output.line(str(shown[name]))
    if text := str(shown["readme"]).strip():
        output.print("")
        output.print(text)
    output.print("")
    numbers = shown["versions"]
    more = f" and {len(numbers) - SHOWN_VERSIONS} more" if len(numbers) > SHOWN_VERSIONS else ""
    output.line(f"Versions: {', '.join(numbers[:SHOWN_VERSIONS]) or 'none yet'}{more}")
    for name in ("sample_input", "sample_output"):
        if shown[name]:
            output.line(f"{name.replace('_', ' ').capitalize()}: {shown[name]}")
    for name, schema in shown["schemas"].items():
        output.print("")
        output.line(f"Schema of the {name}:")
        for line in json.dumps(schema, indent=2, ensure_ascii=False).splitlines():
            output.line(f"  {line}")
    if not numbers:
        return
    for title, line in shown["calls"].items():
        output.print("")
        output.line(
            {"algo": "Call it", "curl": "With curl", "python": "In Python, after 'import Algorithmia'"}[title] + ":"
        )
        output.line(f"  {line}")
    if not app.api.address.startswith("http"):
        output.print("")
        output.line(
            "curl and Python need 'algo local serve', and in ALGORITHMIA_API_KEY a key: 'algo local key new OWNER'"
        )
