"""Parses `details`, `settings` and `version_info` of requests about algorithms (API section 6.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from algo_local.algorithms import catalog
from algo_local.algorithms import worker_resources as placement
from algo_local.algorithms.publication import Publication
from algo_local.algorithms.registry import parse_version
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){1,5}")

_PYTHON = ("python3", "python3-1")
"""The names of Python 3 with and without environments."""

PACKAGE_SETS = (
    *("python36", "python36-gpu", "python37", "python37-gpu", "pytorch-1.0.0", "pytorch-1.4.x", "pytorch-1.5.x"),
    *("pytorch-1.6.x", "spacy-2.0.18", "tensorflow-gpu-1.12", "tensorflow-gpu-1.14", "tensorflow-gpu-2.1"),
    *("tensorflow-gpu-2.3", "selenium3.141.x-python", "allennlp-0.8", "apex-0.1", "mxnet-cu90-1.3.1"),
    "tensorrt-6.0-cuda10.0",
)
"""Sets of packages of the platform that are for Python 3 (API section 5.2): this one takes what the source requires."""


def description(body: dict[str, Any]) -> dict[str, Any]:
    """The description in a body, by the names of `Algorithm`'s attributes.

    Raises:
        Invalid: if it names an unknown language or environment, or a royalty.
    """
    details, settings = body.get("details", {}), body.get("settings", {})
    found = {name: details[name] for name in ("label", "summary", "tagline", "tags") if name in details}
    if "sample_input" in body.get("version_info", {}):
        found["sample_input"] = body["version_info"]["sample_input"]
    if settings.get("royalty_microcredits"):
        message = "This platform bills nothing: royalty_microcredits can only be 0"
        raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)
    if "algorithm_callability" in settings:
        found["callability"] = settings["algorithm_callability"]
    plain = (
        "source_visibility",
        "license",
        "network_access",
        "pipeline_enabled",
        "request_records",
        "min_workers",
        "max_workers",
    )
    found |= {name: settings[name] for name in plain if name in settings}
    if resources := {name: settings[name] for name in placement.MEMBERS if name in settings}:
        found["resources"] = resources
    return found | _environment(settings)


def source_in(context: RequestContext, body: dict[str, Any]) -> tuple[str, str] | None:
    """The source host that a body names, and the repository there; None for the platform itself.

    What the body says for logging in there is remembered for the account.
    """
    said = body.get("source", {})
    if said.get("scm", "internal") == "internal":
        return None
    scm = context.platform.scms.get(said["scm"])
    if not scm.enabled:
        raise Invalid("The source host is disabled", ErrorCode.SCM_DISABLED)
    name = said.get("existing_repository_name") or said.get("repository_name") or body["name"]
    repository = f"{said.get('repository_owner') or context.account}/{name}"
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise Invalid(f"Not a repository: {repository[:100]!r}", ErrorCode.SCM_BAD_REQUEST)
    if login := body.get("scmsCredentials"):
        context.platform.scms.connect(scm.id, context.account, *login_in(login))
    return scm.id, repository


def login_in(body: dict[str, Any]) -> tuple[str, str]:
    """The login in a body: name and password, or a token alone."""
    if token := body.get("secretToken"):
        return body.get("username", "git"), token
    if "username" not in body or "password" not in body:
        message = "Give username and password, or secretToken"
        raise Invalid(message, ErrorCode.SCM_BAD_REQUEST)
    return body["username"], body["password"]


def publication(body: dict[str, Any]) -> Publication:
    """The version to publish, from a body."""
    said, settings = body.get("version_info", {}), body.get("settings", {})
    texts = {name: said[name] for name in ("release_notes", "sample_input", "sample_output") if name in said}
    return Publication(
        kind=said.get("version_type", "minor"),
        number=parse_version(said["semantic_version"]) if "semantic_version" in said else None,
        callability=settings.get("algorithm_callability"),
        insights_enabled=said.get("insights_enabled", settings.get("insights_enabled", True)),
        **texts,
    )


def _environment(settings: dict[str, Any]) -> dict[str, Any]:
    """The environment: by id, a package set, or a language with `cpu` or `gpu`."""
    if identifier := settings.get("algorithm_environment"):
        for language, identifiers in catalog.ELSEWHERE.items():
            if identifier.lower() in identifiers:
                _check_language(language)
        known = catalog.find_environment(identifier)
        if not known or known["id"] != identifier.lower():
            meant = f": that is the template of the environment {known['id']}" if known else ""
            raise Invalid(f"No environment {identifier[:100]}{meant}", ErrorCode.PACKAGE_SET_NOT_FOUND)
        return {"algorithm_environment": known["id"], "package_set": None, "language": known["language"]["name"],
                "environment": known["machine_type"].lower()}  # fmt: skip
    if name := settings.get("package_set"):
        if name not in PACKAGE_SETS:
            raise Invalid(f"No package set {name[:100]}", ErrorCode.PACKAGE_SET_NAME_DOES_NOT_EXIST)
        return {"package_set": name, "algorithm_environment": None, "environment": "gpu" if "gpu" in name else "cpu"}
    found: dict[str, Any] = {name: settings[name] for name in ("language", "environment") if name in settings}
    if "language" in found:
        _check_language(found["language"])
    return found


def _check_language(language: str) -> None:
    runnable = [*_PYTHON, *(entry["name"] for entry in catalog.languages() if entry["name"] not in _PYTHON)]
    if language not in runnable:
        is_known = language in (*catalog.ELSEWHERE, "javascript", "r")
        code = ErrorCode.UNSUPPORTED_ALGORITHM_LANGUAGE if is_known else ErrorCode.UNKNOWN_ALGORITHM_LANGUAGE
        raise Invalid(f"This platform does not run {language[:50]!r}, only {', '.join(runnable)}", code)
