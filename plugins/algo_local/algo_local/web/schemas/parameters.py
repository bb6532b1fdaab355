"""JSON schemas of the parameters in paths and queries, and the documented form of the table's special names."""

from __future__ import annotations

from algo_local.web.schemas.types import FLAG, ID, NAME, TEXT, TIME, Schema, word

PATH: dict[str, Schema] = {
    "algorithmId": ID,
    "algoname": TEXT,
    "algoCallableVersion": TEXT,
    "algohash": TEXT,
    "buildid": TEXT,
    "connectorId": {"type": "string", "pattern": r"^(azureblob|data|dropbox|gs|s3)(\+[a-zA-Z0-9]+)?$"},
    "connectorPath": TEXT,
    "dataPath": TEXT,
    "collectionId": ID,
    "connectorUuid": ID,
    "eventListenerId": TEXT,
    "scheduleId": TEXT,
    "externalId": TEXT,
    "featureName": TEXT,
    "invite_code": TEXT,
    "keyId": TEXT,
    "keyname": {"type": "string", "maxLength": 64, "pattern": r"^\w[\w.-]*\w$"},
    "language": TEXT,
    "member": NAME,
    "orgName": NAME,
    "orgTypeName": NAME,
    "providerId": ID,
    "registryId": TEXT,
    "requestId": TEXT,
    "reservation_id": ID,
    "scmId": TEXT,
    "secretId": ID,
    "specificationId": ID,
    "userId": TEXT,
    "webhookId": ID,
    "webhookToken": TEXT,
    "username": NAME,
}
"""Parameters in paths."""

QUERY: dict[str, Schema] = {
    "account": TEXT,
    "acl": FLAG,
    "algorithm": TEXT,
    "callable": FLAG,
    "code": TEXT,
    "commit": TEXT,
    "end_date": TIME,
    "event_types": TEXT,
    "force": FLAG,
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    "marker": TEXT,
    "message": TEXT,
    "notify": TEXT,
    "notify_output": FLAG,
    "output": word("raw", "void"),
    "owner": TEXT,
    "page_size": {"type": "integer", "minimum": 1},
    "partial": FLAG,
    "published": FLAG,
    "q": TEXT,
    "since": TEXT,
    "start_date": TIME,
    "state": TEXT,
    "stdout": FLAG,
    "sudo": FLAG,
    "tag": TEXT,
    "timeout": {"type": "number", "default": 300},
    "timing": FLAG,
    "until": TEXT,
    "user": TEXT,
    "username": TEXT,
    "wait": {"type": "number", "minimum": 0, "maximum": 60, "default": 0},
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
"""The documented form of the table's special names."""
