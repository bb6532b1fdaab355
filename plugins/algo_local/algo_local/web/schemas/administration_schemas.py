"""JSON schemas of bodies about administration, usage and front ends."""

from __future__ import annotations

from algo_local.web.schemas.types import (
    FLAG,
    ID,
    LONG,
    MIDDLE,
    MOMENT,
    NUMBER,
    TEXT,
    TIME,
    TIME_OR_NULL,
    WHOLE,
    Schema,
    many,
    page_of,
    record,
    ref,
    word,
)

USAGE = record(
    "total_calls total_errors total_error_duration total_duration",
    algorithm_called=TEXT,
    caller=TEXT,
    algorithm_version=TEXT,
    algorithm_owner=TEXT,
    total_calls=TEXT,
    total_errors=WHOLE,
    total_error_duration=NUMBER,
    total_duration=NUMBER,
    machine_type=word("cpu", "gpu"),
)
"""Totals of calls of one group."""

ADMINISTRATION: dict[str, Schema] = {
    # Administration
    "FeatureFlagList": many(record("name enabled", name=TEXT, enabled=FLAG, description=TEXT)),
    "FeatureFlagToggle": record("enabled", enabled=FLAG),
    "NewInviteCode": record(
        "inviteCode",
        inviteCode={"type": "string", "pattern": "^[A-Za-z0-9_-]{8,100}$"},
        signupCredits={"type": "integer", "minimum": 0, "maximum": 1 << 53},
        comments=LONG,
        expiresAt=MOMENT,
    ),
    "InviteCode": record(
        "inviteCode signupCredits comments expiresAt createdAt createdBy",
        inviteCode=TEXT,
        signupCredits=WHOLE,
        comments=TEXT,
        expiresAt=TIME_OR_NULL,
        createdAt=TIME,
        createdBy=TEXT,
    ),
    "InviteCodes": many(ref("InviteCode")),
    "ReservationCreate": record(
        "username algoname calling_user version_type num_slots",
        username=TEXT,
        algoname=TEXT,
        calling_user=TEXT,
        version_type=word("hash", "semantic_version", "latest"),
        num_slots={"type": "integer", "minimum": 1, "maximum": 1000},
        version_identifier=TEXT,
    ),
    "Reservation": record(
        "reservation_id username algoname num_slots version_type algo_id algorithm_id version_hash billable_to",
        reservation_id=ID,
        billable_to=TEXT,
        billable_to_uuid=TEXT,
        algoname=TEXT,
        username=TEXT,
        version_type=TEXT,
        num_slots=WHOLE,
        algo_id=TEXT,
        algorithm_id=TEXT,
        version_hash=TEXT,
    ),
    "Reservations": many(ref("Reservation")),
    "LegacyAlgorithms": record(
        "results",
        results=many(
            record("username algoname language createdAt", username=TEXT, algoname=TEXT, language=TEXT, createdAt=TIME)
        ),
    ),
    "ErrorEntries": many(
        record(
            "created_at request_id username algoname",
            created_at=WHOLE,
            **dict.fromkeys(
                (
                    "request_id",
                    "username",
                    "algoname",
                    "algoversion",
                    "input",
                    "error",
                    "error_type",
                    "billable_to",
                    "worker",
                ),
                TEXT,
            ),
        )
    ),
    "FullUsageResult": record("results", results=many(USAGE), next_marker=TEXT),
    "AlgorithmUsageResult": record("results", results=many(USAGE), next_marker=TEXT),
    "UserUsageResult": record("results", results=many(USAGE), next_marker=TEXT),
    "ConnectionConfigurationRequest": record(
        "connection_type broker_url topic",
        connection_type=word("webhook", "kafka_sasl_ssl", "kafka_unauthenticated_plaintext"),
        broker_url=TEXT,
        topic=MIDDLE,
    ),
    "ConnectionConfiguration": record("broker_url topic", id=ID, connection_type=TEXT, broker_url=TEXT, topic=TEXT),
    # What the platform looks like
    "FrontendConfigurationEntryUpdate": record("value", keyname=TEXT, value={"type": "string", "maxLength": 65536}),
    "FrontendConfigurationEntry": record(
        "keyname value created_at updated_at resource_type",
        keyname=TEXT,
        value=TEXT,
        created_at=NUMBER,
        updated_at=NUMBER,
        resource_type=word("frontendConfigurationEntry"),
    ),
    "PagedConfigurationList": page_of("FrontendConfigurationEntry"),
    "OpenApi": record("openapi info paths", openapi=TEXT, info={"type": "object"}, paths={"type": "object"}),
}
"""The schemas by name."""
