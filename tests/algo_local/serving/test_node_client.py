"""The published Node client against the served platform: data, calls, and its raw requests to the management API."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.programs import lacks, needs
from support.world import archive

from algo_core.errors import ExitCode
from algo_core.testing import SECONDS

PRELUDE = """
const algorithmia = require('algorithmia');
const client = algorithmia.client(process.env.KEY, process.env.ADDRESS);
const seen = {};
const told = (use) => new Promise((resolve) => use((...given) => resolve(given)));
const ask = async (method, path, body, headers, as) => {
  const data = body === undefined ? '' : Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const [answer, status] = await told((cb) => (as || client).req('/v1/' + path, method, data,
    {'Content-Type': 'application/json', 'Accept': 'application/json', ...headers}, cb));
  return {status, answer};
};
const call = (name, input, as) => told((cb) => (as || client).algo(name).pipe(input).then(cb));
(async () => {
"""
END = "\n})().then(() => console.log(JSON.stringify(seen)), (error) => { console.error(error); process.exit(1); });\n"


@pytest.fixture
def node_modules() -> Path:
    """The directory in which Node finds the published client."""
    needs("node")
    modules = Path(__file__).parents[3] / "node_modules"
    if not (modules / "algorithmia").is_dir():
        lacks("algorithmia is not installed for Node: make test-deps")
    return modules


@pytest.fixture
def drive_node(node_modules: Path, address: str, account: Callable[[str], Any], tmp_path: Path) -> Callable[..., Any]:
    """Run a script that has `client` and puts what it saw into `seen`."""

    def drive_node(script: str, **variables: str) -> Any:
        key = account("jane").session.headers["Authorization"].split()[1]
        file = tmp_path / "script.js"
        file.write_text(PRELUDE + script + END)
        environ = {
            "PATH": os.environ["PATH"],
            "KEY": key,
            "ADDRESS": address,
            "NODE_PATH": str(node_modules),
            **variables,
        }
        done = subprocess.run(
            ["node", "--no-deprecation", file], capture_output=True, text=True, env=environ, timeout=SECONDS
        )
        assert done.returncode == ExitCode.OK, done.stderr
        return json.loads(done.stdout)

    return drive_node


def test_data_and_calls(drive_node: Callable[..., Any]) -> None:
    seen = drive_node("""
      const dir = client.dir('data://.my/robots');
      seen.missing = (await told((cb) => dir.exists(cb)))[0];
      seen.made = (await told((cb) => dir.create(cb)))[1];
      seen.exists = (await told((cb) => dir.exists(cb)))[0];
      await told((cb) => dir.file('text').putString('grüße', cb));
      await told((cb) => dir.file('json').putJson('{"a": [1, null]}', cb));
      await told((cb) => dir.file('bytes').put(Buffer.from([0, 255, 10]), cb));
      seen.text = (await told((cb) => dir.file('text').getString(cb)))[0];
      seen.json = (await told((cb) => dir.file('json').getJson(cb)))[0];
      seen.bytes = [...(await told((cb) => dir.file('bytes').get(cb)))[1]];
      seen.fileExists = (await told((cb) => dir.file('text').exists(cb)))[0];
      seen.names = [];
      await new Promise((resolve) => dir.forEachFile((err, file) => seen.names.push(file.basename())).then(resolve));
      seen.called = (await call('demo/Hello', 'HAL'))[0].get();
      seen.calledJson = (await call('demo/Hello/0.1.0', {a: 1}))[0].get();
      seen.unknown = (await call('demo/Nobody', 'x'))[0].error.message;
      await told((cb) => dir.file('text').delete(cb));
      seen.gone = (await told((cb) => dir.file('text').exists(cb)))[0];
      seen.deleted = (await told((cb) => dir.delete(true, cb)))[1];
    """)
    assert (seen["missing"], seen["made"], seen["exists"]) == (False, 200, True)
    assert (seen["text"], seen["json"], seen["bytes"]) == ("grüße", {"a": [1, None]}, [0, 255, 10])
    assert (seen["fileExists"], seen["gone"], seen["deleted"]) == (True, False, 200)
    assert sorted(seen["names"]) == ["bytes", "json", "text"]
    assert seen["called"] == "Hello HAL"
    assert "Hello" in str(seen["calledJson"])
    assert "algorithm algo://demo/Nobody not found" in seen["unknown"]


CODE = "import os\ndef apply(input):\n    return os.environ.get('WORD', 'Hello') + ' ' + input\n"


def test_an_algorithm_from_its_first_line_to_a_key_that_may_call_only_it(
    drive_node: Callable[..., Any], tmp_path: Path
) -> None:
    sources = tmp_path / "sources.tar.gz"
    sources.write_bytes(archive({"src/__init__.py": "", "src/Greet.py": CODE}))
    seen = drive_node(
        """
      const {readFileSync} = require('fs');
      const settings = {source_visibility: 'closed', license: 'apl', network_access: 'full', pipeline_enabled: true};
      seen.made = await ask('POST', 'algorithms/jane', {name: 'Greet', details: {label: 'Greet'}, settings});
      const path = 'algorithms/jane/Greet';
      seen.source = await ask('PUT', `${path}/source`, readFileSync(process.env.SOURCES), {'Content-Type': 'application/gzip'});
      seen.built = await ask('POST', `${path}/compile`, {});
      const hash = seen.built.answer.version_info.git_hash;
      seen.byHash = (await call(`jane/Greet/${hash}`, 'Jane'))[0].get();
      seen.builds = await ask('GET', `${path}/builds`);
      seen.logs = await ask('GET', `${path}/builds/${seen.builds.answer.results[0].build_id}/logs`);
      seen.published = await ask('POST', `${path}/versions`,
        {version_info: {version_type: 'minor'}, settings: {algorithm_callability: 'public'}});
      seen.secret = await ask('POST', `${path}/secrets`,
        {short_name: 'word', description: 'd', secret_key: 'WORD', secret_value: 'Bonjour'});
      seen.secrets = await ask('GET', `${path}/secrets`);
      seen.called = (await call('jane/Greet', 'Jane'))[0].get();
      seen.key = await ask('POST', 'users/jane/keys', {key_label: 'ci', key_type: 'AlgorithmKey', permissions:
        {allow_data: false, allow_data_write: false, allow_algo: true, allow_web_algo: false, referer_host: '',
         allow_algo_management: false, algo_acl: ['algo://jane/Greet']}});
      const limited = algorithmia.client(seen.key.answer.api_key || seen.key.answer.key, process.env.ADDRESS);
      seen.limited = (await call('jane/Greet', 'CI', limited))[0].get();
      seen.refused = (await call('demo/Hello', 'CI', limited))[0].status;
      seen.listing = (await ask('GET', 'users/jane/keys', undefined, {}, limited)).status;
      seen.types = await ask('GET', 'organization/types');
      seen.org = await ask('POST', 'organizations', {org_name: 'acme', org_label: 'Acme', org_contact_name: 'Jane',
        org_email: 'jane@acme.test', type_id: (seen.types.answer.results || seen.types.answer)[0].id});
      seen.orgs = await ask('GET', 'organizations');
      seen.schedule = await ask('POST', 'users/jane/schedules', {algorithm: 'jane/Greet', cron: '0 6 * * *', input: 'Jane'});
      seen.requests = await ask('GET', 'requests?limit=50');
      seen.versions = await ask('GET', `${path}/versions`);
      seen.unpublished = (await ask('DELETE', `${path}/versions/0.1.0`)).status;
      seen.missing = await ask('GET', 'algorithms/jane/Nobody');
    """,
        SOURCES=str(sources),
    )
    statuses = {name: found["status"] for name, found in seen.items() if isinstance(found, dict)}
    expected = {"made": 201, "schedule": 201, "missing": 404}
    assert statuses == {name: expected.get(name, 200) for name in statuses}, seen
    assert seen["byHash"] == "Hello Jane"
    assert seen["called"] == "Bonjour Jane"
    assert "Bonjour" not in json.dumps(seen["secrets"])
    assert "Built jane/Greet" in seen["logs"]["answer"]["logs"]
    assert seen["published"]["answer"]["version_info"]["semantic_version"] == "0.1.0"
    assert seen["limited"] == "Bonjour CI"
    assert (seen["refused"], seen["listing"]) == (403, 403)
    assert "acme" in json.dumps(seen["orgs"]["answer"])
    assert {call["state"] for call in seen["requests"]["answer"]["results"]} == {"done"}
    assert seen["versions"]["answer"]["results"][0]["version_info"]["semantic_version"] == "0.1.0"
    assert seen["unpublished"] == 204
    assert "No such algorithm" in json.dumps(seen["missing"]["answer"])
