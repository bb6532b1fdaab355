import base64
import json
import sys

import pytest

from algo_core.errors import ConfigError, UsageError
from algo_core.settings.credentials import Credential, Secret, classify, from_environment, from_table

KEY = "sim" + "x" * 25


def jwt(header: dict[str, str], payload: str = "e30", signature: str = "c2ln-_") -> str:
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip('=')}.{payload}.{signature}"


def test_a_secret_never_prints_itself() -> None:
    credential = Credential("api_key", Secret(KEY))
    for shown in (str(credential.secret), repr(credential), f"{credential.secret}", f"{credential}"):
        assert KEY not in shown
    assert credential.secret.reveal() == KEY


def test_keys_and_tokens_are_told_apart_by_shape() -> None:
    assert classify(KEY).header() == f"Simple {KEY}"
    token = jwt({"alg": "RS256", "kid": "a-b_c"}, payload="eyJhIjoi-_8ifQ")
    assert classify(token).header() == f"Bearer {token}"


@pytest.mark.parametrize(
    "text", ["", "sim", "sim" + "x" * 24, "sam" + "x" * 25, "a.b.c", jwt({"typ": "JWT"}), KEY[:-1] + "é"]
)
def test_what_is_neither_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        classify(text)
    assert not text or text not in caught.value.message


def test_the_key_of_the_environment_goes_before_its_token() -> None:
    both = from_environment({"ALGORITHMIA_API_KEY": "anything", "ALGORITHMIA_BEARER_TOKEN": "t"})
    assert both and both.header() == "Simple anything"
    token = from_environment({"ALGORITHMIA_API_KEY": " ", "ALGORITHMIA_BEARER_TOKEN": "t"})
    assert token and token.header() == "Bearer t"
    assert from_environment({}) is None


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(ConfigError):
        from_environment({"ALGORITHMIA_API_KEY": "a\nb"})


def test_a_credential_command_is_run_without_a_shell() -> None:
    command = [sys.executable, "-c", "import sys; print(sys.argv[1])", f"{KEY}; echo no"]
    credential = from_table("p", {"credential_command": command}, "file")
    assert credential and credential.secret.reveal() == f"{KEY}; echo no"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo key", "not a list"),
        (["/no/such/program"], "cannot be run"),
        ([sys.executable, "-c", "import sys; sys.exit('vault is sealed')"], "vault is sealed"),
        ([sys.executable, "-c", "pass"], "failed with exit code 0"),
    ],
)
def test_a_credential_command_that_fails_says_why(command: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_table("p", {"credential_command": command}, "file")


def test_the_order_is_command_then_file() -> None:
    table = {"credential_command": [sys.executable, "-c", "print('from-command')"], "api_key": KEY}
    credential = from_table("p", table, "file")
    assert credential and credential.secret.reveal() == "from-command"
    assert from_table("p", {"api_key": "", "bearer_token": ""}, "file") is None
