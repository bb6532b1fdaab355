"""The files of `deploy/`: valid by the schemas, consistent with each other, and with the commands that they run."""

from __future__ import annotations

import configparser
import copy
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import tomlkit
import yaml
from support.environments import ROOT

from algo_core import App, cli
from algo_core.testing import Home

DEPLOY = ROOT / "deploy"
VERSIONS = ("1.29", "1.37")
"""Of Kubernetes: the oldest one that is promised, and the newest one that is known here."""

SANDBOX_NEEDS = {"RestrictNamespaces", "PrivateUsers", "ProtectProc", "ProcSubset", "ProtectHostname"} | {
    f"ProtectKernel{what}" for what in ("Tunables", "Logs")
}
"""Protections of systemd under which bubblewrap cannot make a sandbox."""

Document = dict[str, Any]


def documents() -> list[Document]:
    return [
        found
        for path in sorted(DEPLOY.glob("kubernetes/*.yaml"))
        for found in yaml.safe_load_all(path.read_text("utf-8"))
    ]


DOCUMENTS = documents()
CORE = [each for each in DOCUMENTS if not each["apiVersion"].startswith("ray.io/")]


def named(kind: str, name: str = "algo") -> Document:
    (found,) = [each for each in DOCUMENTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods() -> dict[str, Document]:
    """The templates of pods, with the labels that their operators add."""
    ray = named("RayCluster")["spec"]
    found = {
        "front end": copy.deepcopy(named("Deployment")["spec"]["template"]),
        "head": copy.deepcopy(ray["headGroupSpec"]["template"]),
        **{group["groupName"]: copy.deepcopy(group["template"]) for group in ray["workerGroupSpecs"]},
    }
    for name, pod in found.items():
        if name != "front end":
            kind = "head" if name == "head" else "worker"
            pod["metadata"] = {"labels": {"ray.io/cluster": "algo", "ray.io/node-type": kind}}
    return found


PODS = pods()


def containers(pod: Document) -> list[Document]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", CORE, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_a_manifest_is_what_kubernetes_expects(document: Document, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PODS)
def test_the_pods_of_every_kind_are_what_kubernetes_expects(name: str, version: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **PODS[name]}
    kubernetes_validate.validate(pod, version, strict=True)
    pod["spec"]["containers"][0]["securityContexts"] = pod["spec"]["containers"][0]["securityContext"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, version, strict=True)
    del pod["spec"]["containers"][0]["securityContexts"]


def test_the_ray_cluster_has_what_its_operator_needs_and_the_platform_accepts() -> None:
    cluster = named("RayCluster")
    assert cluster["apiVersion"] == "ray.io/v1"
    spec = cluster["spec"]
    major, minor, _ = map(int, spec["rayVersion"].split("."))
    assert (2, 60) <= (major, minor) < (3, 0)
    assert spec["authOptions"] == {"mode": "token", "secretName": "algo-ray"}
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert set(group) >= {"rayStartParams", "template"}
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"], "Ray takes its size from there"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert len({one["image"] for pod in PODS.values() for one in containers(pod)}) == 1, "equal versions everywhere"


def matches(selector: Document, pod: Document) -> bool:
    return selector["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_selectors_find_pods_and_ports_are_open() -> None:
    front_end = PODS["front end"]
    ports = {port["name"] for one in containers(front_end) for port in one.get("ports", [])}
    deployment, service, budget = named("Deployment"), named("Service"), named("PodDisruptionBudget")
    assert matches(deployment["spec"]["selector"], front_end)
    assert matches(budget["spec"]["selector"], front_end)
    assert matches({"matchLabels": service["spec"]["selector"]}, front_end)
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"], "else no node could be drained"
    (main,) = front_end["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert next(iter(main[probe].values()))["port"] in ports
    own = {"ray.io/cluster", "app.kubernetes.io/component"}
    for policy in (each for each in DOCUMENTS if each["kind"] == "NetworkPolicy"):
        rules = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        peers = [
            peer["podSelector"]
            for rule in rules
            for peer in rule.get("from", rule.get("to", []))
            if "podSelector" in peer
        ]
        for selector in (policy["spec"]["podSelector"], *peers):
            if own & set(selector["matchLabels"]):
                assert any(matches(selector, pod) for pod in PODS.values()), selector


def test_algorithms_reach_neither_private_addresses_nor_credentials_of_the_cloud() -> None:
    blocks = [
        peer["ipBlock"]
        for rule in named("NetworkPolicy", "algo-ray")["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
    assert {"169.254.0.0/16", "10.0.0.0/8", "fe80::/10"} <= {net for block in blocks for net in block["except"]}
    assert "head" in str(named("NetworkPolicy", "algo-ray-head")["spec"]["podSelector"]), "only there is no algorithm"


def test_volumes_are_mounted_and_secrets_are_described() -> None:
    page = (DEPLOY / "README.md").read_text("utf-8")
    for pod in PODS.values():
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", [])}
        assert volumes == mounted
    for name in re.findall(r"'(?:secretName|name)': '(algo-[\w-]+)'", str([PODS, named("RayCluster")])):
        assert f"`{name}`" in page
    described = set(re.findall(r"^\| `(algo-[\w-]+)` \| `", page, re.MULTILINE))
    assert described == {"algo-state", "algo-key", "algo-tls", "algo-ray", "algo-objects"}
    for secret, key in re.findall(r"'secretKeyRef': \{'name': '([\w-]+)', 'key': '(\w+)'", str(PODS)):
        assert re.search(rf"^\| `{secret}` \|[^|]*`{key}`", page, re.MULTILINE)


@pytest.mark.parametrize("name", PODS)
def test_containers_have_no_more_rights_than_they_need(name: str) -> None:
    pod = PODS[name]
    whole = pod["spec"].get("securityContext", {})
    for container in containers(pod):
        context = {**whole, **container["securityContext"]}
        assert context["runAsNonRoot"]
        assert context["runAsUser"] >= 10000
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["resources"]["limits"]["memory"]
    assert pod["spec"]["automountServiceAccountToken"] is (name == "head")


def unit(path: Path) -> configparser.ConfigParser:
    """A unit of systemd; of settings that stand there several times, all lines."""

    class Lines(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            before = self.get(key)
            super().__setitem__(key, before + value if isinstance(value, list) and isinstance(before, list) else value)

    parser = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=["="], comment_prefixes=["#"], dict_type=Lines
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text("utf-8"))
    return parser


UNITS = sorted(DEPLOY.glob("systemd/*.service")) + sorted(DEPLOY.glob("systemd/*.timer"))


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for path in UNITS:
        if path.suffix == ".service":
            for line in unit(path)["Service"]["ExecStart"].splitlines():
                words = shlex.split(line)
                if words[:2] == ["/bin/sh", "-c"]:
                    words = shlex.split(words[2])
                    assert words.pop(0) == "exec", "the shell is not to stand between systemd and the command"
                yield path.name, words
    for name, pod in PODS.items():
        for one in containers(pod):
            if "command" in one:
                yield f"{name}: {one['name']}", [*one["command"], *one.get("args", [])]


COMMANDS = [
    (name, [word for word in words if word != "--quiet"])
    for name, words in command_lines()
    if words[0].endswith("algo")
]


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_line_has_only_options_that_its_command_knows(name: str, words: list[str]) -> None:
    parse(words)
    with pytest.raises(click.NoSuchOption):
        parse([*words, "--no-such-option"])


PAGES = ("deploy/README.md", "docs/scaling.md", "docs/operations.md")


def printed_commands(page: str) -> Iterator[list[str]]:
    """The commands of `algo local` that a page has the reader type, and options of `serve` that it has them add."""
    text = (ROOT / page).read_text("utf-8")
    for found in re.findall(r"^    .*?\b(algo local [^#\n]*)", text, re.MULTILINE) + re.findall(
        r"`(algo local [^`]*)`", text
    ):
        yield shlex.split(found)
    for options in re.findall(r"`(--[a-z][^`]*)`", text):
        words = shlex.split(options)
        if len(words) > 1:
            yield ["algo", "local", "serve", *words]


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_a_page_prints_are_ones_that_algo_knows(page: str) -> None:
    found = list(printed_commands(page))
    assert found
    for words in found:
        parse(words)
    with pytest.raises(click.NoSuchOption):
        parse([*found[0], "--no-such-option"])


def test_steps_of_scaling_are_all_among_the_commands_that_are_checked() -> None:
    options = {word for words in printed_commands("docs/scaling.md") for word in words if word.startswith("--")}
    steps = {"--port", "--processes", "--metadata", "--objects", "--engine", "--ray-address", "--cluster"}
    assert steps <= options


def parse(words: list[str]) -> None:
    """Check words as the command does, but for the files that they name."""
    assert words[1] == "local"
    command: click.Command = cli.build()
    rest = words[1:]
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(click.Context(command, obj=App()), rest)
        assert found is not None
        command = found
    _, left, _ = command.make_parser(click.Context(command)).parse_args(rest)
    assert left == [] or any(isinstance(each, click.Argument) for each in command.params), left


def test_every_variable_is_one_that_algo_knows(algo_home: Home) -> None:
    """Those of the pages, and those that the platform asks for."""
    known = {line.split()[0] for line in algo_home.run("help", "variables").text.splitlines()}
    pages = [path for path in DEPLOY.rglob("*") if path.is_file()] + [ROOT / page for page in PAGES]
    named_in = {name for path in pages for name in re.findall(r"\bALGO_[A-Z_]+", path.read_text("utf-8"))}
    asked_for = {
        name
        for path in (ROOT / "plugins" / "algo_local" / "algo_local").rglob("*.py")
        for name in re.findall(r"\"(ALGO_LOCAL_[A-Z_]+)\"", path.read_text("utf-8"))
    }
    assert {"ALGO_LOCAL_METADATA", "ALGO_LOCAL_WORKERS"} <= asked_for & named_in
    assert asked_for - known == set()
    assert named_in - known == {"ALGO_RAY_CACHE"}, "which a node reads, where there is no algo"


@pytest.mark.parametrize("page", ["deploy/README.md", "docs/scaling.md"])
def test_what_a_page_installs_exists(page: str) -> None:
    named = re.findall(r"'(algo-[a-z]+)\[([a-z0-9,-]+)\]'", (ROOT / page).read_text("utf-8"))
    assert named
    for distribution, extras in named:
        directory = ROOT if distribution == "algo-core" else ROOT / "plugins" / distribution.replace("-", "_")
        project = tomlkit.parse((directory / "pyproject.toml").read_text("utf-8"))["project"]
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), (distribution, extras)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_what_systemd_expects(path: Path, tmp_path: Path) -> None:
    parser = unit(path)
    assert set(parser.sections()) <= {"Unit", "Service", "Timer", "Install"}
    if not (verify := shutil.which("systemd-analyze", path="/usr/bin:/bin")):
        return  # sections, settings and commands are checked by themselves
    for each in UNITS:
        (tmp_path / each.name).write_text(each.read_text("utf-8").replace("/opt/algo/bin/algo", "/usr/bin/env"))
    command = [verify, "verify", "--man=no", str(tmp_path / path.name)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (told.returncode, [line for line in told.stderr.splitlines() if path.stem in line]) == (0, [])


def test_backups_are_of_the_platform_that_is_served_and_have_even_fewer_rights() -> None:
    served, backup = (unit(DEPLOY / "systemd" / f"{name}.service")["Service"] for name in ("algo", "algo-backup"))
    for name in ("User", "Group", "UMask", "NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem", "ProtectHome"):
        assert served[name] == backup[name], name
    assert backup["Environment"] in served["Environment"]
    assert served["EnvironmentFile"] == backup["EnvironmentFile"], "there are the URLs of its state"
    assert SANDBOX_NEEDS - {"PrivateUsers", "ProcSubset"} <= set(backup)
    timer = unit(DEPLOY / "systemd" / "algo-backup.timer")["Timer"]
    assert timer["Persistent"] == "yes"
    assert timer["OnCalendar"]


def test_the_service_is_confined_as_far_as_the_sandbox_of_algorithms_allows() -> None:
    service = unit(DEPLOY / "systemd" / "algo.service")["Service"]
    assert not SANDBOX_NEEDS & set(service)
    text = (DEPLOY / "systemd" / "algo.service").read_text("utf-8")
    assert all(f"{name}=" in text for name in SANDBOX_NEEDS), "the reason stands there"
    for name, value in {
        "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
        "PrivateTmp": "yes", "UMask": "0077", "StateDirectoryMode": "0700", "KillMode": "mixed",
    }.items():  # fmt: skip
        assert service[name] == value, name
    assert "@mount" in service["SystemCallFilter"].split()
    assert int(service["TimeoutStopSec"]) > 20
    assert "ALGO_LOCAL_ROOT=/var/lib/algo/state" in service["Environment"]
    assert service["StateDirectory"] == "algo"
