"""How a call fails: the algorithm, the platform, the network, the person; each with its exit code and no traceback."""

import base64
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import trustme

from algo_core.errors import ExitCode

TOKEN = base64.urlsafe_b64encode(json.dumps({"alg": "RS256"}).encode()).decode().rstrip("=") + ".e30.c2ln"
KEY = "sim" + "k" * 25
TRACE = 'Traceback (most recent call last):\n  File "Echo.py", line 3, in apply\nValueError: no'
FAILED = {"message": "it failed", "error_type": "InputError", "stacktrace": TRACE}
TIMED_OUT = "Failed to run algorithm - may have timed-out or hit out-of-memory error"


def test_an_algorithm_that_fails_says_why(home, algorithm) -> None:
    algorithm.answers(algorithm.failure(FAILED))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.stdout) == (ExitCode.FAILURE, b"")
    assert done.stderr == "error: it failed\nhint: See where it failed with --debug\n"


@pytest.mark.parametrize("before", [True, False])
def test_the_stack_trace_of_an_algorithm_is_shown_with_debug(home, algorithm, before) -> None:
    algorithm.answers(algorithm.failure(FAILED, stdout="got this far"))
    words = ["run", "demo/Echo", "-d", "x"]
    done = home.run("--debug", *words) if before else home.run(*words, "--debug")
    assert (done.code, done.stdout) == (ExitCode.FAILURE, b"")
    assert done.stderr.startswith(f"got this far\n{TRACE}\n")
    assert done.stderr.endswith("error: it failed\n")


def test_an_algorithms_failure_as_json(home, algorithm) -> None:
    algorithm.answers(algorithm.failure(FAILED))
    done = home.run("run", "demo/Echo", "-d", "x", "--json")
    assert done.code == ExitCode.FAILURE
    assert {"type": "AlgorithmFailed", "error_type": "InputError", "stacktrace": TRACE}.items() <= done.error.items()
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "it failed"}, "result": None}, "it failed"),
        ({"error": {"message": "it failed", "error_type": "AlgorithmError"}}, "it failed"),
        ({"error": "it failed"}, "it failed"),
        ({"error": {"message": "it failed", "stacktrace": None, "error_type": 3}, "metadata": {}}, "it failed"),
        ({"error": {}, "metadata": {"duration": 1}}, "failed without a message"),
        ({"error": {"message": TIMED_OUT}, "metadata": {"duration": 1}}, "--timeout SECONDS"),
    ],
)
def test_every_form_of_a_failure_is_understood(home, algorithm, body, said) -> None:
    algorithm.answers(algorithm.answer(200, json.dumps(body).encode()))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.stdout) == (ExitCode.FAILURE, b"")
    assert said in done.stderr


def test_a_raw_call_that_fails_says_why(home, algorithm) -> None:
    algorithm.answers(algorithm.answer(400, "es ging nicht: ä".encode(), {"Content-Type": "text/plain; charset=utf-8"}))
    done = home.run("run", "demo/Echo", "-d", "x", "--raw")
    assert (done.code, done.stdout, done.stderr) == (ExitCode.FAILURE, b"", "error: es ging nicht: ä\n")


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (
            404,
            {"error": {"message": "algorithm algo://demo/Echo not found"}},
            ExitCode.NOT_FOUND,
            "algo://demo/Echo not found",
        ),
        (404, {"error": "No such algorithm"}, ExitCode.NOT_FOUND, "No such algorithm"),
        (404, {"id": "1", "code": 1014, "message": "no such version"}, ExitCode.NOT_FOUND, "no such version"),
        (400, {"error": {"code": 2015, "message": "malformed"}}, ExitCode.FAILURE, "malformed"),
        (
            400,
            {"error": {"type": "SystemError", "message": "missing Content-Type"}},
            ExitCode.FAILURE,
            "missing Content-Type",
        ),
        (401, {"error": {"message": "authorization required"}}, ExitCode.AUTHENTICATION, "algo auth"),
        (200, {"error": {"message": "authorization required"}}, ExitCode.AUTHENTICATION, "algo auth"),
        (
            403,
            {"error": {"code": 2001, "message": "Caller is not authorized"}},
            ExitCode.AUTHENTICATION,
            "Caller is not authorized",
        ),
        (415, {"error": {"message": "unsupported"}}, ExitCode.FAILURE, "unsupported"),
        (429, {"error": {"message": "too many concurrent requests"}}, ExitCode.FAILURE, "too many concurrent requests"),
        (500, {"error": {"message": "it broke"}}, ExitCode.PLATFORM, "it broke"),
        (503, {}, ExitCode.PLATFORM, "503 Service Unavailable"),
    ],
)
def test_the_servers_message_is_shown(home, algorithm, status, body, code, said) -> None:
    algorithm.answers(algorithm.answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"}))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.stdout) == (code, b"")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(algorithm.calls) == 1


@pytest.mark.parametrize(("typed", "said"), [("demo/Echo", "latestPrivate"), ("demo/Echo/9.9.9", "without a version")])
def test_what_is_not_found_comes_with_advice_on_versions(home, algorithm, typed, said) -> None:
    algorithm.answers(algorithm.answer(404, b""))
    done = home.run("run", typed, "-d", "x")
    assert done.code == ExitCode.NOT_FOUND
    assert said in done.stderr


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "text/html", b"<html>welcome</html>"),
        (200, "application/json", b"{"),
        (200, "application/json", b""),
        (200, "application/json", b"[]"),
        (200, "application/json", b'{"metadata": {}}'),
        (200, "application/json", b'{"hello": "world"}'),
        (200, "application/json", b'{"result": ' + b"[" * 150_000 + b"]" * 150_000 + b"}"),
        (200, "application/json", b'{"result": "no base64!", "metadata": {"content_type": "binary"}}'),
        (200, "application/json", b'{"result": 7, "metadata": {"content_type": "binary"}}'),
        (200, "application/json", b"\xff\xfe"),
        (302, "text/html", b""),
        (502, "text/html", b"<html>bad gateway</html>"),
        (504, "text/plain", b"upstream timed out"),
    ],
)
def test_what_is_no_answer_of_the_platform_is_its_failure(home, algorithm, status, content_type, body) -> None:
    algorithm.answers(algorithm.answer(status, body, {"Content-Type": content_type}))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.stdout) == (ExitCode.PLATFORM, b"")
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1000
    assert len(algorithm.calls) == 1


def test_a_void_answer_without_a_request_id_is_the_platforms_failure(home, algorithm) -> None:
    algorithm.answers(algorithm.answer(200, b'{"async": "void"}'))
    assert home.run("run", "demo/Echo", "-d", "x", "--void").code == ExitCode.PLATFORM


def test_an_unreachable_platform_is_a_network_error(algo_home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    algo_home.write_config(f'[profiles.default]\naddress = "{address}"\napi_key = "{KEY}"\nretries = 1\n')
    done = algo_home.run("run", "demo/Echo", "-d", "x")
    assert done.code == ExitCode.NETWORK
    assert address in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_that_breaks_off_is_not_asked_for_again(home, algorithm) -> None:
    algorithm.answers(algorithm.answer(200, b'{"result":', {"Content-Length": "500", "Connection": "close"}))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert done.code == ExitCode.NETWORK
    assert len(algorithm.calls) == 1


@pytest.fixture
def silence(algorithm):
    """The platform takes the call and does not answer; set when the call has come, to be set to let go."""
    came, over = threading.Event(), threading.Event()

    def hold(handler) -> None:
        came.set()
        over.wait(60)
        handler.close_connection = True

    algorithm.answers(hold)
    yield came
    over.set()


def test_waiting_has_an_end(home, algorithm, silence) -> None:
    """The margin is shortened from 30 seconds, so that the test need not wait as long as a person would."""
    shortened = "import algo_run.call; algo_run.call.WAIT_MARGIN = 0.5; from algo_core.main import main; main()"
    python = home.command()[0].replace("/algo", "/python")
    done = subprocess.run(
        [python, "-c", shortened, "run", "demo/Echo", "-d", "x", "--timeout", "1"],
        env=home.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.NETWORK
    assert "--timeout SECONDS" in done.stderr
    assert "timeout=1" in algorithm.call.path


def test_an_interrupted_call_ends_cleanly(home, algorithm, silence) -> None:
    (home.root / "result").write_text("older")
    with subprocess.Popen(
        home.command("run", "demo/Echo", "-d", "x", "-o", "result"),
        env=home.environ,
        cwd=home.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert silence.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, b"")
    assert b"Traceback" not in err
    assert (home.root / "result").read_text() == "older"
    assert not list(home.root.glob(".result*"))


def test_the_credential_of_the_environment_is_sent_whatever_the_input(home, algorithm, tmp_path) -> None:
    other = "sim" + "e" * 25
    (tmp_path / "f").write_text("{}")
    for option, value in [("-t", "{}"), ("-j", "{}"), ("-b", "{}"), ("-d", "{}")]:
        home.run("run", "demo/Echo", option, value, environ={"ALGORITHMIA_API_KEY": other})
        home.run("run", "demo/Echo", option.upper(), tmp_path / "f", environ={"ALGORITHMIA_API_KEY": other})
    assert [seen.headers["Authorization"] for seen in algorithm.calls] == [f"Simple {other}"] * 8


def test_a_bearer_token_is_sent_whatever_the_input(algo_home, algorithm) -> None:
    environ = {"ALGORITHMIA_API": algorithm.platform.address, "ALGORITHMIA_BEARER_TOKEN": TOKEN}
    for option in ("-t", "-j", "-b", "-d"):
        algo_home.run("run", "demo/Echo", option, "1", environ=environ)
    assert [seen.headers["Authorization"] for seen in algorithm.calls] == [f"Bearer {TOKEN}"] * 4


def test_the_profiles_ca_counts_whatever_the_input_and_the_environment(algo_home, stub, algorithm, tmp_path) -> None:
    authority = trustme.CA()
    stub.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    stub.start(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    profile = f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n'
    algo_home.write_config(f'{profile}ca_cert = "{tmp_path / "ca.pem"}"\n')
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        for option in ("-t", "-j", "-b", "-d"):
            done = algo_home.run("run", "demo/Echo", option, "1", environ={variable: str(tmp_path / "other.pem")})
            assert done.code == ExitCode.OK, done.stderr
    algo_home.write_config(profile)
    done = algo_home.run("run", "demo/Echo", "-t", "1")
    assert done.code == ExitCode.NETWORK
    assert "--ca-cert" in done.stderr
    assert len(algorithm.calls) == 8


def test_requests_and_their_time_are_shown_with_verbose_and_no_key(home, algorithm) -> None:
    done = home.run("-v", "run", "demo/Echo", "-d", "secret input")
    assert done.stdout == b"ok\n"
    assert f"POST {algorithm.platform.address}/v1/algo/demo/Echo -> 200" in done.stderr
    assert KEY not in done.stderr
    assert "secret input" not in done.stderr


def test_a_refused_connection_is_tried_again(algo_home, stub, algorithm) -> None:
    """Nothing was sent yet, so that a call may be repeated as well."""
    address = stub.address
    port = int(address.rpartition(":")[2])
    stub.close()
    algo_home.write_config(f'[profiles.default]\naddress = "{address}"\napi_key = "{KEY}"\nretries = 40\n')

    with subprocess.Popen(
        algo_home.command("-v", "run", "demo/Echo", "-d", "x"), env=algo_home.environ, stdout=subprocess.PIPE
    ) as process:
        time.sleep(1)
        assert process.poll() is None
        stub.start(port=port)
        out, _ = process.communicate(timeout=90)
    assert (process.returncode, out) == (ExitCode.OK, b"ok\n")
