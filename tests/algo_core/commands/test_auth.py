"""`algo auth`: the guide's three questions on a terminal, and all of it in a script."""

import base64
import functools
import json
import stat
from collections.abc import Callable

import pexpect
import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home

KEY = "sim" + "k" * 25
OTHER_KEY = "sim" + "o" * 25
WRONG_KEY = "sim" + "w" * 25
TOKEN = base64.urlsafe_b64encode(json.dumps({"alg": "RS256"}).encode()).decode().rstrip("=") + ".e30.c2ln"


@pytest.fixture
def terminal(algo_home: Home, spawn) -> Callable[..., pexpect.spawn]:
    """Starts `algo` on a terminal of its own."""
    return functools.partial(spawn, algo_home)


def test_the_three_questions_of_the_guide(algo_home, stub, terminal) -> None:
    child = terminal("auth")
    child.expect_exact("Configuring authentication for profile: default\r\n")
    child.expect_exact("enter API address [https://api.algorithmia.com]: ")
    child.sendline(stub.address)
    child.expect_exact("enter API key: ")
    child.sendline(KEY)
    child.expect_exact("(optional) enter path to custom CA certificate: ")
    assert KEY not in child.before
    child.sendline("")
    child.expect_exact("Account: alice")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == ExitCode.OK
    assert stat.S_IMODE(algo_home.config_file.stat().st_mode) == 0o600
    assert algo_home.run("profile", "show", "--json").json["address"] == stub.address


def test_a_second_profile_as_in_the_guide(algo_home, stub, terminal) -> None:
    child = terminal("auth", "--profile", "second_profile")
    child.expect_exact("Configuring authentication for profile: second_profile")
    child.expect_exact("enter API address [")
    child.sendline(stub.address)
    child.expect_exact("enter API key: ")
    child.sendline(OTHER_KEY)
    child.expect_exact("CA certificate: ")
    child.sendline("")
    child.expect_exact("Account: bob")
    child.expect(pexpect.EOF)
    again = terminal("auth", "--profile", "second_profile")
    again.expect_exact(f"enter API address [{stub.address}]: ")
    again.sendline("")
    again.expect_exact("enter API key: ")
    again.sendline(KEY)
    again.expect_exact("CA certificate: ")
    again.sendline("")
    again.expect_exact("Account: alice")


def test_each_wrong_answer_is_asked_again_with_the_reason(algo_home, stub, terminal) -> None:
    child = terminal("auth")
    child.expect_exact("enter API address [")
    child.sendline("api.example")
    child.expect_exact("Not an API address: 'api.example'")
    child.expect_exact("enter API address [")
    child.sendline("http://corp.example")
    child.expect_exact("unencrypted")
    child.expect_exact("enter API address [")
    child.sendline(stub.address)
    child.expect_exact("enter API key: ")
    child.sendline("short")
    child.expect_exact("Neither an API key nor a bearer token (5 characters)")
    child.expect_exact("enter API key: ")
    child.sendline(WRONG_KEY)
    child.expect_exact("CA certificate: ")
    child.sendline("/no/such.pem")
    child.expect_exact("Cannot read the CA file /no/such.pem")
    child.expect_exact("CA certificate: ")
    child.sendline("")
    child.expect_exact("authorization required")
    child.expect_exact("enter API key: ")
    assert not algo_home.config_file.exists()
    child.sendline(KEY)
    child.expect_exact("Account: alice")
    child.expect(pexpect.EOF)


def test_ctrl_c_and_the_end_of_input_change_nothing(algo_home, stub, terminal) -> None:
    child = terminal("auth")
    child.expect_exact("enter API address [")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == ExitCode.INTERRUPTED
    child = terminal("auth")
    child.expect_exact("enter API address [")
    child.sendline(stub.address)
    child.expect_exact("enter API key: ")
    child.sendeof()
    child.expect_exact("the input has ended")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == ExitCode.USAGE
    assert not algo_home.config_file.exists()


def test_answers_from_a_pipe(algo_home, stub) -> None:
    result = algo_home.run("auth", input=f"{stub.address}\n{KEY}\n\n")
    assert (result.code, result.text) == (ExitCode.OK, "Account: alice\n"), result
    assert KEY not in result.stderr


def test_a_script_needs_no_prompt(algo_home, stub) -> None:
    result = algo_home.run("auth", "--api-address", stub.address, "--api-key-stdin", "--json", input=KEY)
    assert result.json == {"profile": "default", "address": stub.address, "account": "alice"}
    assert "enter" not in result.stderr


def test_a_bearer_token_is_sent_as_one(algo_home, stub) -> None:
    stub.accounts[f"Bearer {TOKEN}"] = "carol"
    result = algo_home.run("auth", "--api-address", stub.address, "--api-key-stdin", input=TOKEN)
    assert result.text == "Account: carol\n"
    text = algo_home.config_file.read_text()
    assert f'bearer_token = "{TOKEN}"' in text
    assert "api_key" not in text


def test_changing_from_key_to_token_leaves_no_key_behind(algo_home, stub) -> None:
    stub.accounts[f"Bearer {TOKEN}"] = "carol"
    options = ("auth", "--api-address", stub.address, "--api-key-stdin")
    assert algo_home.run(*options, input=KEY).code == ExitCode.OK
    assert algo_home.run(*options, input=TOKEN).code == ExitCode.OK
    assert KEY not in algo_home.config_file.read_text()


@pytest.mark.parametrize(
    ("arguments", "key", "code", "said"),
    [
        (("--api-key-stdin",), "", ExitCode.USAGE, "Standard input contains no API key"),
        (("--api-key-stdin",), "nonsense", ExitCode.USAGE, "API keys start with 'sim'"),
        (("--api-key-stdin",), WRONG_KEY, ExitCode.AUTHENTICATION, "authorization required"),
        (
            ("--api-key-stdin", "--ca-cert", "/none.pem"),
            KEY,
            ExitCode.CONFIGURATION,
            "Cannot read the CA file /none.pem",
        ),
        (("--api-key-stdin", "--profile", "a b"), KEY, ExitCode.USAGE, "Not a profile name"),
    ],
)
def test_a_failed_script_saves_nothing_and_says_why(algo_home, stub, arguments, key, code, said) -> None:
    result = algo_home.run("auth", "--api-address", stub.address, *arguments, input=key)
    assert result.code == code, result
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not algo_home.config_file.exists()


def test_a_failed_test_keeps_the_older_profile(algo_home, stub) -> None:
    options = ("auth", "--api-address", stub.address, "--api-key-stdin")
    assert algo_home.run(*options, input=KEY).code == ExitCode.OK
    before = algo_home.config_file.read_bytes()
    assert algo_home.run(*options, input=WRONG_KEY).code == ExitCode.AUTHENTICATION
    assert algo_home.config_file.read_bytes() == before


def test_no_test_saves_without_asking_the_platform(algo_home, stub) -> None:
    result = algo_home.run("auth", "--api-address", stub.address, "--api-key-stdin", "--no-test", input=KEY)
    assert result.code == ExitCode.OK
    assert stub.seen == []


def test_an_address_that_is_not_the_api_is_found_out(algo_home, stub) -> None:
    stub.on("GET", "/v1/data/", stub.answer(200, b"<html>hello</html>", {"Content-Type": "text/html"}))
    result = algo_home.run("auth", "--api-address", stub.address, "--api-key-stdin", input=KEY)
    assert result.code == ExitCode.PLATFORM
    assert "not JSON" in result.stderr


def test_the_keyring_keeps_the_key_out_of_the_file(algo_home, stub) -> None:
    backend = algo_home.root / "backend"
    backend.mkdir()
    (backend / "filering.py").write_text(
        "import json, os\nfrom keyring.backend import KeyringBackend\n"
        "FILE = os.path.join(os.environ['HOME'], 'ring.json')\n"
        "class Ring(KeyringBackend):\n    priority = 1\n"
        "    def _all(self):\n        return json.load(open(FILE)) if os.path.exists(FILE) else {}\n"
        "    def get_password(self, service, name):\n        return self._all().get(service + name)\n"
        "    def set_password(self, service, name, text):\n"
        "        json.dump({**self._all(), service + name: text}, open(FILE, 'w'))\n"
        "    def delete_password(self, service, name):\n"
        "        json.dump({k: v for k, v in self._all().items() if k != service + name}, open(FILE, 'w'))\n"
    )
    algo_home.environ.update(PYTHONPATH=str(backend), PYTHON_KEYRING_BACKEND="filering.Ring")
    options = ("auth", "--api-address", stub.address, "--api-key-stdin", "--keyring")
    result = algo_home.run(*options, input=KEY)
    assert result.text == "Account: alice\n", result
    assert KEY not in algo_home.config_file.read_text()
    assert algo_home.run("profile", "show", "--json").json["credential_origin"] == "keyring (algo, default)"
    assert algo_home.run("profile", "remove", "default").code == ExitCode.OK
    assert json.loads((algo_home.root / "ring.json").read_text()) == {}
