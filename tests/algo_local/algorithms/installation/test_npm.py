"""Dependencies of algorithms in JavaScript: installed by npm from a registry on loopback, shared, and told when they fail."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder, BuildError
from algo_local.algorithms.installation.npm import Package, reason_of
from algo_local.algorithms.languages.node import Node, find_node, required_node
from algo_local.execution.payload import Payload
from algo_local.execution.workers.local_pool import LocalPool
from tests.algo_local.execution.conftest import CONTEXT, FixedEndpoint

APPLY = "const twice = require('twice');\nexports.apply = (input) => twice(input);\n"


class Registry:
    """A registry with the package `twice`, whose install script leaves a file beside it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                found = registry.files().get(self.path.partition("?")[0])
                self.send_response(200 if found is not None else 404)
                body = found if found is not None else b'{"error": "not found"}'
                self.send_header("Content-Type", "application/json" if body[:1] == b"{" else "application/octet-stream")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def files(self) -> dict[str, bytes]:
        script = "require('fs').writeFileSync('built', '')"
        package = {"name": "twice", "version": "1.0.2", "scripts": {"install": f'node -e "{script}"'}}
        packed = _packed({"package.json": json.dumps(package), "index.js": "module.exports = (text) => text + text;\n"})
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
        dist = {"tarball": f"{self.address}/twice/-/twice-1.0.2.tgz", "integrity": integrity}
        about = {
            "name": "twice",
            "dist-tags": {"latest": "1.0.2"},
            "versions": {"1.0.2": {**package, "hasInstallScript": True, "dist": dist}},
        }
        return {"/twice": json.dumps(about).encode(), "/twice/-/twice-1.0.2.tgz": packed}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)  # the same bytes whenever they are asked for


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    needs("npm")
    registry = Registry()
    monkeypatch.setenv("npm_config_registry", registry.address)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    yield registry
    registry.close()


Make = Callable[..., Build]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Builds an algorithm in a directory of its own: `make(package, files={...}, run_code=True)`."""
    numbers = iter(range(100))

    def make(package: Any, files: dict[str, str] | None = None, **options: Any) -> Build:
        source = tmp_path / f"source-{next(numbers)}"
        text = package if isinstance(package, str) else json.dumps(package)
        given = {"algorithmia.conf": '{"language": "javascript"}', "package.json": text, "src/Hello.js": APPLY}
        for name, content in {**given, **(files or {})}.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(content)
        return Builder(tmp_path / "root").build(source, "demo", "Hello", **options)

    return make


def environment(build: Build) -> Path:
    return build.python.parent.parent


def test_what_a_package_json_requires_is_installed_and_shared(
    registry: Registry, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requires = {"dependencies": {"twice": "^1.0.0"}}
    first = make({"name": "a", **requires}, {"node_modules/twice/index.js": "module.exports = () => 'not this';"})
    asked = len(registry.asked)
    second = make({"name": "b", "description": "another", **requires}, {"README.md": "another"})
    assert environment(second) == environment(first)
    assert len(registry.asked) == asked
    assert not (first.source / "node_modules").exists()
    assert (environment(first) / "node_modules/twice/built").exists()
    assert (environment(first) / "requirements.txt").read_text() == "twice@^1.0.0\n"
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    pool = LocalPool(FixedEndpoint, tmp_path / "root" / "processes")
    try:
        for build in (first, second):
            outcome = pool.call(build, Payload("text", "ab"), timeout=60, context=CONTEXT)
            assert outcome.result == Payload("text", "abab"), outcome
    finally:
        pool.close()
    confined = make(requires, run_code=False)
    assert environment(confined) != environment(first)
    assert not (environment(confined) / "node_modules/twice/built").exists()


def test_a_package_that_is_missing_or_has_no_such_version(registry: Registry, make: Make) -> None:
    for requires, message, hint in (
        ({"nothing": "1"}, "the registry has no package 'nothing'", 'Check the name: "nothing": "1" in package.json'),
        (
            {"twice": "^9.0"},
            "no matching version found for twice@^9.0",
            'Change "twice": "^9.0" in package.json; see: npm view twice versions',
        ),
    ):
        with pytest.raises(BuildError) as caught:
            make({"dependencies": requires})
        assert caught.value.message == f"Cannot build demo/Hello: Installing package.json failed: {message}"
        assert caught.value.hint == hint
        assert "npm error" in caught.value.log or "npm ERR!" in caught.value.log


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("{", "package.json is not JSON"),
        ("[]", "package.json does not hold a JSON object"),
        ('{"dependencies": ["a"]}', "'dependencies' must be an object of texts"),
        ('{"dependencies": {"a": 1}}', "'dependencies' must be an object of texts"),
    ],
)
def test_a_mistake_in_package_json_is_named(make: Make, package: str, message: str) -> None:
    needs("node")
    with pytest.raises(BuildError, match=message):
        make(package)


@pytest.mark.parametrize(
    ("wanted", "locked"),
    [
        *(
            (wanted, "")
            for wanted in ("git+ssh://git@host/a.git", "file:../..", "user/repo", "https://host/a.tgz", "./a")
        ),
        ("^1.0.0", '{"packages": {"node_modules/a": {"resolved": "git+ssh://git@host/a.git#1"}}}'),
        ("^1.0.0", '{"dependencies": {"a": {"version": "file:../a"}}}'),
    ],
)
def test_builds_without_code_take_packages_of_the_registry_only(make: Make, wanted: str, locked: str) -> None:
    needs("node")
    files = {"package-lock.json": locked} if locked else {}
    with pytest.raises(BuildError, match="may name packages of the registry only here"):
        make({"dependencies": {"a": wanted}}, files, run_code=False)


@pytest.mark.parametrize(
    "members",
    [
        {"peerDependencies": {"a": "file:../a"}},
        {"optionalDependencies": {"a": "git+file:///a"}},
        {"overrides": {"a": {"b": "https://host/b.tgz"}}},
        {"workspaces": ["../*"]},
    ],
    ids=str,
)
def test_no_member_of_package_json_leads_elsewhere(make: Make, members: dict[str, Any]) -> None:
    needs("node")
    with pytest.raises(BuildError, match="may name packages of the registry only here"):
        make({"dependencies": {"twice": "1"}, **members}, run_code=False)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        (
            "src/Hello.js",
            "exports.apply = (input) => {\n  return input +;\n};",
            "src/Hello.js, line 2: Unexpected token ';'",
        ),
        ("src/other.mjs", "\n\nimport from;", "src/other.mjs, line 3: "),
        ("src/deep/other.cjs", "import 'x';", "src/deep/other.cjs, line 1: Cannot use import statement"),
        ("src/Hello.js", "exports.run = 1;", "src/Hello.js has no entry point: it exports no function apply"),
        ("src/Hello.ts", "", "There is no src/Hello.js"),
    ],
)
def test_modules_that_cannot_run_are_named(tmp_path: Path, name: str, code: str, message: str) -> None:
    needs("node")
    for path, text in {"algorithmia.conf": '{"language": "javascript"}', "src/Hello.js": APPLY, name: code}.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_text(text)
    if name.endswith(".ts"):
        (tmp_path / "source/src/Hello.js").unlink()
    with pytest.raises(BuildError) as caught:
        Builder(tmp_path / "root").build(tmp_path / "source", "demo", "Hello")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("member", "hint"),
    [
        ('"replicas": "fork"', "Remove 'replicas' there"),
        ('"python": "3.11"', "Remove 'python' there"),
        ('"dependencies": ["lodash"]', "Write them into package.json"),
    ],
)
def test_what_only_python_has_is_refused(make: Make, member: str, hint: str) -> None:
    needs("node")
    with pytest.raises(BuildError, match="is for algorithms in Python") as caught:
        make("{}", {"algorithmia.conf": f'{{"language": "javascript", {member}}}'})
    assert caught.value.hint == hint
    with pytest.raises(BuildError, match="in JavaScript, not in Python"):
        make("{}", python=(3, 11))


def test_only_the_trees_own_node_modules_are_left_out(make: Make) -> None:
    needs("node")
    vendored = {"src/lib/package.json": "{}", "src/lib/node_modules/a/index.js": "exports.A = 1;"}
    build = make("{}", {**vendored, "node_modules/b/index.js": "", "src/Hello.js": "exports.apply = (input) => input;"})
    assert (build.source / "src/lib/node_modules/a/index.js").exists()
    assert not (build.source / "node_modules").exists()


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ({"name": "a"}, {"name": "b", "scripts": {"test": "x"}, "devDependencies": {"c": "1"}}, True),
        ({"overrides": {"a": "1"}}, {}, False),
        (
            {"scripts": {"postinstall": "node x.js"}},
            {"scripts": {"postinstall": "node x.js"}},
            False,
        ),  # of another tree
        ({"overrides": {"a": "file:x"}}, {"overrides": {"a": "file:x"}}, False),
    ],
    ids=str,
)
def test_what_an_environment_depends_on(one: dict[str, Any], other: dict[str, Any], are_equal: bool) -> None:
    node = Node((20, 1, 0), "/usr/bin/node", None)
    first, second = (
        Package({"dependencies": {"a": "^1"}, **members}).identity(commit, node, run_code=True, with_tests=False)
        for commit, members in (("0" * 40, one), ("1" * 40, other))
    )
    assert (first == second) == are_equal


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("12.22.1", "need Node.js 16 or later, and this platform has 12.22.1"),
        ("", "need Node.js, which this platform does not have"),
    ],
)
def test_a_node_that_is_too_old_or_none(tmp_path: Path, version: str, message: str) -> None:
    program = tmp_path / "node"
    program.write_text(f"""#!/bin/sh\n[ '{version}' ] && echo '["{version}", "{program}"]'\n""")
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/bin:/usr/sbin"} if version else {"PATH": str(tmp_path)}
    assert find_node(environ) is None
    with pytest.raises(BuildError) as caught:
        required_node(environ)
    assert message in caught.value.message


def test_node_as_a_version_manager_has_it(tmp_path: Path) -> None:
    real, shim = tmp_path / "versions/22/bin/node", tmp_path / "shims/node"
    for path in (real, real.with_name("npm"), shim):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"""#!/bin/sh\necho '["22.1.0", "{real}"]'\n""")
        path.chmod(0o755)
    expected = Node((22, 1, 0), str(real), str(real.with_name("npm")))
    assert find_node({"PATH": str(shim.parent)}) == expected
    assert find_node({"PATH": "/nowhere", "ALGO_LOCAL_NODE": str(shim)}) == expected
    assert find_node({"PATH": str(shim.parent), "ALGO_LOCAL_NODE": "off"}) is None


def test_without_node_it_is_told_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_LOCAL_NODE", "off")
    with pytest.raises(BuildError, match="in JavaScript need") as caught:
        make("{}")
    assert "apt-get install nodejs npm" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "npm ERR! code E404\nnpm ERR! 404 Not Found - GET https://registry/@a%2fb - Not found\nnpm ERR! 404 \n"
            "npm ERR! 404  '@a/b@1' is not in this registry.",
            "the registry has no package '@a/b'",
            'Check the name: "@a/b": "1" in package.json',
        ),
        (
            "npm error code E404\nnpm error 404 Not Found - GET https://registry/c\nnpm error 404\nnpm error 404  The"
            " requested resource 'c@2' could not be found or you do not have permission to access it.",
            "the registry has no package 'c'",
            "Check the name: package.json, where something requires c",
        ),
        (
            "npm error code ETARGET\nnpm error notarget No matching version found for @a/b@99.x.",
            "no matching version found for @a/b@99.x",
            'Change "@a/b": "1" in package.json; see: npm view @a/b versions',
        ),
        (
            "npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree\nnpm error\n"
            'npm error Found: react@18.2.0\nnpm error Could not resolve dependency:\nnpm error peer react@"17" from dom@17',
            "versions of packages contradict each other",
            'Found: react@18.2.0; peer react@"17" from dom@17; change one in package.json',
        ),
        (
            "npm error code EUSAGE\nnpm error\nnpm error `npm ci` can only install packages when your package.json and"
            " package-lock.json or npm-shrinkwrap.json are in sync.",
            "package-lock.json does not fit package.json",
            "Bring it up to date: npm install; or remove it",
        ),
        (
            "npm error code 1\nnpm error path /x/tree/node_modules/@a/b\nnpm error command failed\n"
            "npm error command sh -c node-gyp rebuild\nnpm error gyp info it worked if it ends with ok\n"
            "npm error gyp ERR! stack Error: not found: make",
            "@a/b could not be built: gyp ERR! stack Error: not found: make",
            'Change "@a/b": "1" in package.json',
        ),
        (
            "npm error code ECONNREFUSED\nnpm error syscall connect\nnpm error FetchError: request failed",
            "the package registry cannot be reached",
            "Check the network, then try again",
        ),
        (
            "npm error code EBADENGINE\nnpm error EBADENGINE Unsupported engine",
            "unsupported engine",
            "Correct package.json",
        ),
    ],
)
def test_npms_reasons(said: str, message: str, hint: str) -> None:
    package = Package({"dependencies": {"@a/b": "1"}}, lock="package-lock.json")
    assert reason_of(said.splitlines(), package) == (message, hint)


def test_output_without_a_reason() -> None:
    assert reason_of(["Killed"], Package({})) is None
