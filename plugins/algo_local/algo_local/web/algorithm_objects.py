"""Algorithms, versions and builds as objects of the API (API sections 6.2, 6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.algorithms import worker_resources as placement
from algo_local.algorithms.build import TITLES
from algo_local.times import iso

if TYPE_CHECKING:
    from algo_local.algorithms.builds import BuildRecord
    from algo_local.algorithms.registry import Algorithm, Version
    from algo_local.metadata.scms import Scm
    from algo_local.web.authorization import RequestContext

INTERNAL_SCM = {"id": "internal", "name": "", "provider": "internal", "default": True, "enabled": True}
"""The platform itself as the host of sources (API section 6.5)."""


def described(context: RequestContext, algorithm: Algorithm, version: Version | None = None) -> dict[str, Any]:
    """The algorithm object of a version, or of an algorithm without versions."""
    path = f"/v1/algorithms/{algorithm.owner}/{algorithm.name}"
    found: dict[str, Any] = {
        "id": algorithm.id,
        "name": algorithm.name,
        "owner": algorithm.owner,
        "details": {
            "label": algorithm.label or algorithm.name,
            "summary": algorithm.summary,
            "tagline": algorithm.tagline,
            "tags": list(algorithm.tags),
        },
        "settings": _settings(algorithm, version),
        "source": _source(context, algorithm),
        "self_link": context.url(path),
        "resource_type": "algorithm",
    }
    if not version:
        return {**found, "version_info": {"sample_input": algorithm.sample_input}}
    log = version.build.log if context.caller.owns_algorithm(algorithm.owner) else ""
    return {
        **found,
        "version_info": {
            "semantic_version": version.text,
            "git_hash": version.build.commit,
            "version_uuid": version.id,
            "release_notes": version.release_notes,
            "sample_input": version.sample_input or algorithm.sample_input,
            "sample_output": version.sample_output,
            "insights_enabled": version.insights_enabled,
        },
        "build": _build_of(version),
        "compilation": {"successful": True, "output": log},
        "self_link": context.url(f"{path}/versions/{version.build.commit}"),
    }


def described_scm(scm: Scm) -> dict[str, Any]:
    """The object of a source host."""
    return {
        "id": scm.id,
        "name": scm.name,
        "provider": scm.provider,
        "default": scm.default,
        "enabled": scm.enabled,
        "urls": dict(scm.urls),
    }


def _source(context: RequestContext, algorithm: Algorithm) -> dict[str, Any]:
    source = context.platform.scms.source(algorithm.id, algorithm.owner)
    if not source:
        return {"scm": INTERNAL_SCM}
    owner, _, name = source.repository.rpartition("/")
    return {
        "scm": described_scm(source.scm),
        "repository_owner": owner,
        "repository_name": name,
        "repository_https_url": source.address,
    }


def compiled(context: RequestContext, algorithm: Algorithm, build: BuildRecord) -> dict[str, Any]:
    """The algorithm object after a compilation, successful or not."""
    found = described(context, algorithm)
    return {
        **found,
        "version_info": {**found["version_info"], "git_hash": build.commit},
        "build": described_build(build),
        "compilation": {"successful": build.status == "succeeded", "output": build.log},
        "self_link": context.url(f"/v1/algorithms/{algorithm.owner}/{algorithm.name}/versions/{build.commit}"),
    }


def summary(algorithm: Algorithm) -> dict[str, Any]:
    """The short algorithm object in an account's lists."""
    return {"id": algorithm.id, "algoname": algorithm.name, "username": algorithm.owner, "name": algorithm.name}


def described_build(build: BuildRecord) -> dict[str, Any]:
    """The build object."""
    found: dict[str, Any] = {
        "build_id": build.id,
        "status": build.status,
        "commit_sha": build.commit,
        "started_at": iso(build.started_at),
        "resource_type": "algorithm_build",
    }
    if build.finished_at is not None:
        found["finished_at"] = iso(build.finished_at)
    if build.version:
        found["version_info"] = {"semantic_version": build.version}
    return found


def _build_of(version: Version) -> dict[str, Any]:
    return {
        "build_id": version.build_id,
        "status": "succeeded",
        "commit_sha": version.build.commit,
        "started_at": iso(version.started_at),
        "finished_at": iso(version.finished_at),
        "version_info": {"semantic_version": version.text},
        "resource_type": "algorithm_build",
    }


def _language(algorithm: Algorithm, version: Version | None) -> str:
    """The language of a version, which may differ from the one chosen when the algorithm was created."""
    chosen = algorithm.language if algorithm.language in TITLES else "python3"
    if not version or version.build.language == chosen:
        return algorithm.language
    return version.build.language


def _settings(algorithm: Algorithm, version: Version | None) -> dict[str, Any]:
    callability = algorithm.callability
    if version:
        callability = "public" if version.public else "private"
    settings = {
        "algorithm_callability": callability,
        "source_visibility": algorithm.source_visibility,
        "language": _language(algorithm, version),
        "environment": algorithm.environment,
        "package_set": algorithm.package_set,
        "algorithm_environment": algorithm.algorithm_environment,
        "license": algorithm.license,
        "royalty_microcredits": algorithm.royalty_microcredits,
        "network_access": algorithm.network_access,
        "pipeline_enabled": algorithm.pipeline_enabled,
        "request_records": algorithm.request_records,
        "min_workers": algorithm.min_workers,
        "max_workers": algorithm.max_workers or None,
        **placement.as_members(algorithm.resources),
        "insights_enabled": version.insights_enabled if version else None,
    }
    return {name: value for name, value in settings.items() if value is not None}
