"""What the bodies and parameters of operations look like, as JSON schemas (API sections 1 to 7).

A record takes the names of its members that are never missing, and all members by name. More members are never refused.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
ID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
BINARY: Schema = {"type": "string", "format": "binary"}
NAME: Schema = {"type": "string", "maxLength": 30, "pattern": "^[a-zA-Z][a-zA-Z0-9_]*$"}


def record(required: str = "", /, **members: Schema) -> Schema:
    """An object; `required` are the names of the members that are never missing."""
    schema: Schema = {"type": "object", "properties": members}
    return {**schema, "required": required.split()} if required else schema


def many(schema: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": schema}


def word(*words: str) -> Schema:
    """One of some texts."""
    return {"type": "string", "enum": list(words)}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Schema:
    """A page of a collection (API section 1.6)."""
    return record("marker next_link results", marker=TEXT_OR_NULL, next_link=TEXT_OR_NULL, results=many(ref(name)))


SCHEMAS: dict[str, Schema] = {
    "Error": record("error", error={"oneOf": [TEXT, record("message", code=WHOLE, message=TEXT, id=TEXT)]}),
    # Calls
    "CallResult": {"oneOf": [ref("CallAnswer"), ref("CallFailure"), ref("CallStarted")]},
    "CallAnswer": record("result metadata request_id", result=ANYTHING, metadata=ref("CallMetadata"), request_id=TEXT),
    "CallFailure": record(
        "error metadata request_id",
        error=record("message error_type", message=TEXT, error_type=TEXT, stacktrace=TEXT),
        metadata=ref("CallMetadata"),
        request_id=TEXT,
    ),
    "CallStarted": {**record("async request_id", request_id=TEXT, **{"async": word("void")})},
    "CallMetadata": record(
        "duration",
        content_type=word("text", "json", "binary", "void"),
        duration=NUMBER,
        stdout=TEXT,
        timing=record("running total", running=WHOLE, total=WHOLE),
    ),
    # Data
    "Directory": record(
        "folders files",
        folders=many(record("name", name=TEXT)),
        files=many(record("filename last_modified size", filename=TEXT, last_modified=TIME, size=WHOLE)),
        marker=TEXT,
        acl=ref("DirectoryAcl"),
    ),
    "DirectoryAcl": record(read=many(word("user://*", "algo://.my/*"))),
    "CreateDirectoryRequest": record("name", name=NAME, acl=ref("DirectoryAcl")),
    "DirectoryAclUpdateRequest": record("acl", acl=record("read", read=many(word("user://*", "algo://.my/*")))),
    "Created": record("result", result=TEXT),
    "Deleted": record("result", result=record("deleted", deleted=WHOLE)),
    # Languages and environments
    "Language": record("name display_name configuration", name=TEXT, display_name=TEXT, configuration=TEXT),
    "Languages": many(ref("Language")),
    "Environment": record(
        "id environment_specification_id display_name description created_at language machine_type",
        id=ID,
        environment_specification_id=ID,
        display_name=TEXT,
        description=TEXT,
        created_at=TEXT,
        language=ref("Language"),
        machine_type=word("CPU", "GPU"),
    ),
    "Environments": record("environments", environments=many(ref("Environment"))),
    "EnvironmentList": many(ref("Environment")),
    # Algorithms
    "Details": record("label", label=TEXT, summary=TEXT, tagline=TEXT),
    "Settings": record(
        algorithm_callability=word("public", "private"),
        source_visibility=word("open", "closed"),
        language=TEXT,
        environment=word("cpu", "gpu"),
        package_set=TEXT,
        algorithm_environment=ID,
        license=word("apl", "apache2", "gpl3", "mit"),
        royalty_microcredits={"type": "integer", "minimum": 0},
        network_access=word("isolated", "full"),
        pipeline_enabled=FLAG,
        insights_enabled=FLAG,
    ),
    "VersionInfo": record(
        semantic_version=TEXT,
        git_hash=TEXT,
        version_uuid=TEXT,
        release_notes=TEXT,
        sample_input=TEXT,
        sample_output=TEXT,
    ),
    "VersionResponse": record(
        "id name details settings resource_type",
        id=ID,
        name=TEXT,
        details=ref("Details"),
        settings=ref("Settings"),
        version_info=ref("VersionInfo"),
        build=ref("Build"),
        compilation=record("successful", successful=FLAG, output=TEXT),
        self_link=TEXT,
        resource_type=word("algorithm"),
    ),
    "PagedVersionsList": page_of("VersionResponse"),
    "AlgorithmListResult": many(record("id algoname username", id=ID, algoname=TEXT, username=TEXT)),
    "Build": record(
        "build_id status commit_sha started_at resource_type",
        build_id=TEXT,
        status=word("in-progress", "succeeded", "failed"),
        commit_sha=TEXT,
        started_at=TIME,
        finished_at=TIME,
        version_info=record("semantic_version", semantic_version=TEXT),
        resource_type=word("algorithm_build"),
    ),
    "PagedBuildsList": page_of("Build"),
    "BuildLogs": record("logs", logs=TEXT),
    # Connectors
    "Connector": record(
        "protocol cred_type cred_data",
        username=TEXT,
        label={"type": "string", "pattern": "^[a-zA-Z0-9]*$"},
        protocol=word("s3", "azureblob", "gs", "dropbox"),
        is_default=FLAG,
        cred_type=word("iam", "oauth", "sas", "serviceaccount"),
        cred_data={"type": ["object", "string"]},
        options={"type": "object"},
        path=TEXT,
        writeable=FLAG,
    ),
    "ConnectorResponse": record(
        "connector_id username label protocol is_default permissions",
        connector_id=ID,
        username=TEXT,
        label=TEXT,
        protocol=TEXT,
        is_default=FLAG,
        path=TEXT,
        writeable=FLAG,
        permissions=many(word("read", "write")),
    ),
    "PagedConnectorsList": page_of("ConnectorResponse"),
    "OpenApi": record("openapi info paths", openapi=TEXT, info={"type": "object"}, paths={"type": "object"}),
}
"""All that are JSON, by name."""

CONTENT: dict[str, dict[str, Schema]] = {
    "Input": {"application/json": ANYTHING, "text/plain": TEXT, "application/octet-stream": BINARY},
    "File": {"application/octet-stream": BINARY},
    "FileOrDirectory": {"application/json": ref("Directory"), "application/octet-stream": BINARY},
    "Archive": {"application/gzip": BINARY},
}
"""Bodies that are not, or not only, JSON: their schemas by media type."""

PATH: dict[str, Schema] = {
    "algorithmId": ID,
    "algoname": TEXT,
    "algoCallableVersion": TEXT,
    "algohash": TEXT,
    "buildid": TEXT,
    "connectorId": {"type": "string", "pattern": r"^(azureblob|data|dropbox|gs|s3)(\+[a-zA-Z0-9]+)?$"},
    "connectorPath": TEXT,
    "dataPath": TEXT,
    "language": TEXT,
    "specificationId": ID,
    "username": NAME,
}
"""Parameters in paths."""

QUERY: dict[str, Schema] = {
    "acl": FLAG,
    "callable": FLAG,
    "force": FLAG,
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    "marker": TEXT,
    "output": word("raw", "void"),
    "published": FLAG,
    "stdout": FLAG,
    "sudo": FLAG,
    "timeout": {"type": "number", "default": 300},
    "timing": FLAG,
}
"""Parameters in queries."""

EXPANSIONS: dict[str, tuple[str, ...]] = {
    "{algorithm}": ("{username}/{algoname}", "{algorithmId}"),
    "{reference*}": (
        "{username}/{algoname}/{algoCallableVersion}",
        "{username}/{algoname}",
        "{algorithmId}/{algoCallableVersion}",
        "{algorithmId}",
    ),
    "{path*}": ("{dataPath}",),
    "{location*}": ("{connectorId}/{connectorPath}",),
}
"""What stands for the table's special names in documented paths."""
