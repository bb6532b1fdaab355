"""Writes what pages take from the code: `make docs`.

`hooks.md` is written from `hookspecs.py` and `types.py` in `algo_core/plugins/` and from `hooks-how-to.txt`, and
in `platform-api.md` the parts between marks from the table of operations of `algo_local`. `api.md` is written by
`docs/public_api.py`.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from algo_core.plugins.access import ALL, Access
from algo_core.plugins.hookspecs import HOOKS

HERE = Path(__file__).parent
PAGE = HERE / "hooks.md"
HOW_TO = HERE / "hooks-how-to.txt"
CORE = HERE.parent / "algo_core"

VALUES = ("plugins/types", "settings/declared", "events", "settings/profile")
"""Modules whose classes cross the boundary between the core and its plugins."""

HEAD = (
    "<!-- Written by docs/render.py from hookspecs.py and types.py in algo_core/plugins/, and from "
    "docs/hooks-how-to.txt: change those. -->\n\n"
)


def page() -> str:
    """The page."""
    specs = _parsed("plugins/hookspecs")
    parts = ["# Hooks", _markdown(ast.get_docstring(specs) or "")]
    parts += [_hook(node) for node in hooks(specs)]
    parts.append(HOW_TO.read_text("utf-8").rstrip())
    parts += ["## The values", "What hooks are given and give back is imported from `algo_core`; all of it is frozen."]
    parts += [
        _value(module, node) for module in VALUES for node in _parsed(module).body if isinstance(node, ast.ClassDef)
    ]
    return HEAD + "\n\n".join(parts) + "\n"


def hooks(specs: ast.Module | None = None) -> Iterator[ast.FunctionDef]:
    """The hooks' specifications, in the order of the file."""
    for node in (specs or _parsed("plugins/hookspecs")).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield node


def signature(hook: ast.FunctionDef) -> str:
    """How a hook is declared, as Python."""
    returns = f" -> {ast.unparse(hook.returns)}" if hook.returns else ""
    return f"def {hook.name}({ast.unparse(hook.args)}){returns}"


def example(hook: ast.FunctionDef) -> str:
    """The plugin module in a hook's documentation; empty if there is none."""
    blocks = [text for is_code, text in _blocks(ast.get_docstring(hook) or "") if is_code]
    return "\n\n".join(blocks)


def how_to() -> tuple[str, str]:
    """The plugin in the part on what has no hook, and the command lines below it."""
    plugin, commands = re.findall(r"^```\w+\n(.*?)^```$", HOW_TO.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return plugin, commands


def _hook(node: ast.FunctionDef) -> str:
    hook = HOOKS[node.name]
    remarks = ["The first result counts."] if hook.first else []
    remarks += ["Results are kept in the index."] if hook.kept_as else []
    remarks += ["Since hook API {}.{}.".format(*hook.since)] if hook.since > (1, 0) else []
    remarks.append(_of_app(hook.app))
    remark = f"\n\n{' '.join(remarks)}"
    return f"## {node.name}\n\n{_fenced(signature(node))}{remark}\n\n{_markdown(ast.get_docstring(node) or '')}"


def _of_app(access: Access) -> str:
    if access.members is ALL:
        return "`app` is the running `App`, as a command has it."
    members = ", ".join(f"`{name}`" for name in sorted(access.members))
    return f"Usable of `app`: {members}; other members are not, since {access.why}."


def _value(module: str, node: ast.ClassDef) -> str:
    source = (CORE / f"{module}.py").read_text("utf-8")
    fields = [ast.get_source_segment(source, part) for part in node.body if isinstance(part, ast.AnnAssign)]
    declared = "\n".join([f"class {node.name}:", *(f"    {field}" for field in fields)])
    return f"### {node.name}\n\n{_fenced(declared)}\n\n{ast.get_docstring(node)}"


def _parsed(module: str) -> ast.Module:
    return ast.parse((CORE / f"{module}.py").read_text("utf-8"))


def _markdown(docstring: str) -> str:
    return "\n\n".join(_fenced(text) if is_code else text for is_code, text in _blocks(docstring))


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def _blocks(docstring: str) -> Iterator[tuple[bool, str]]:
    """The paragraphs of a docstring, and its indented blocks, which are code."""
    for paragraph in re.split(r"\n\n(?=\S)", docstring.strip()):
        text, _, code = paragraph.partition("\n\n    ")
        yield False, text
        if code:
            yield True, textwrap.dedent(f"    {code}")


API_PAGE = HERE / "platform-api.md"


def api_page() -> str:
    """The page of the platform's API, with what is between its marks written anew."""
    text = API_PAGE.read_text("utf-8")
    for name, rows in (("codes", _codes()), ("operations", _operations()), ("refusals", _refusals())):
        begin, end = f"<!-- {name}: written by docs/render.py -->\n", f"<!-- /{name} -->\n"
        head, _, rest = text.partition(begin)
        text = head + begin + rows + end + rest.partition(end)[2]
    return text


def _codes() -> str:
    from algo_local.error_codes import error_codes

    lines = [f"| {code} | {name.lower().replace('_', ' ')} |" for name, code in error_codes().items()]
    return "\n".join(["| code | meaning |", "| --- | --- |", *lines, ""])


def _operations() -> str:
    from algo_local.web.operations import OPERATIONS

    lines = []
    for operation in OPERATIONS:
        permission = operation.access.permission.value if operation.access.permission else ""
        who = operation.access.who.name.lower()
        lines.append(f"| `{operation.method} {_path(operation.path)}` | {operation.summary} | {who} | {permission} |")
    return "\n".join(["| operation, below `/v1` | what it does | who | key |", "| --- | --- | --- | --- |", *lines, ""])


def _path(template: str) -> str:
    return "/".join(part.partition("|")[0].replace("*}", "}") for part in template.split("/"))


def _refusals() -> str:
    from algo_local.web.handlers.refused import REFUSALS
    from algo_local.web.operations import OPERATIONS

    paths = {operation.id: f"{operation.method} {_path(operation.path)}" for operation in OPERATIONS}
    reasons: dict[str, list[str]] = {}
    for identifier, refusal in REFUSALS.items():
        shown = f"`{paths[identifier]}` ({refusal.status}, {refusal.code})"
        reasons.setdefault(refusal.reason, []).append(shown)
    lines = [f"| {reason} | {', '.join(found)} |" for reason, found in reasons.items()]
    return "\n".join(["| reason | operations, with their status and code |", "| --- | --- |", *lines, ""])


if __name__ == "__main__":
    import public_api

    public_api.write()
    PAGE.write_text(page(), "utf-8")
    API_PAGE.write_text(api_page(), "utf-8")
