"""JSON schemas of bodies about connectors, secrets, source hosts and images (API sections 4.9, 6.5, 6.6)."""

from __future__ import annotations

from algo_local.web.schemas.types import (
    FLAG,
    ID,
    LONG,
    MIDDLE,
    PROVIDER,
    SECRET,
    SHORT,
    TEXT,
    TIME,
    VARIABLE,
    Schema,
    many,
    page_of,
    record,
    ref,
    word,
)

CONNECTORS: dict[str, Schema] = {
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
    "ConnectorUpdate": record(
        is_default=FLAG,
        cred_type=word("iam", "oauth", "sas", "serviceaccount"),
        cred_data={"type": ["object", "string"]},
        options={"type": "object"},
        path=TEXT,
        writeable=FLAG,
    ),
    "PagedConnectorsList": page_of("ConnectorResponse"),
    "HostedDataList": record(
        "result",
        result=many(
            record(
                "id object_id collection_name username acl location",
                id=ID,
                object_id=TEXT,
                collection_name=TEXT,
                username=TEXT,
                acl=record("read_w read_g read_u read_a", read_w=FLAG, read_g=FLAG, read_u=FLAG, read_a=FLAG),
                location=TEXT,
            )
        ),
    ),
    # Secrets
    "AlgorithmSecretCreateRequest": record(
        "short_name secret_key secret_value",
        short_name=SHORT,
        description=LONG,
        owner_type=word("algorithm"),
        owner_id=TEXT,
        secret_key=VARIABLE,
        secret_value=SECRET,
        provider_id=TEXT,
    ),
    "AlgorithmSecretEditRequest": record(short_name=SHORT, description=LONG, secret_key=VARIABLE, secret_value=SECRET),
    "AlgorithmSecretResult": record(
        "id short_name description secret_key owner_type owner_id provider_id created modified",
        id=ID,
        short_name=TEXT,
        description=TEXT,
        secret_key=TEXT,
        owner_type=word("algorithm"),
        owner_id=ID,
        provider_id=ID,
        created=TIME,
        modified=TIME,
    ),
    "AlgorithmSecretList": record(
        "results secrets", results=many(ref("AlgorithmSecretResult")), secrets=many(ref("AlgorithmSecretResult"))
    ),
    "ProviderInfo": record(
        "id name description moduleName factoryClassName interfaceVersion isEnabled isDefault",
        id=ID,
        name=TEXT,
        description=TEXT,
        moduleName=TEXT,
        factoryClassName=TEXT,
        interfaceVersion=TEXT,
        isEnabled=FLAG,
        isDefault=FLAG,
        created=TIME,
        modified=TIME,
    ),
    "ListProviderInfo": many(ref("ProviderInfo")),
    "SecretProviderRequest": record(
        "name description moduleName factoryClassName interfaceVersion isEnabled isDefault",
        name=TEXT,
        description=TEXT,
        moduleName=TEXT,
        factoryClassName=TEXT,
        interfaceVersion=TEXT,
        configuration={"type": "object"},
        isEnabled=FLAG,
        isDefault=FLAG,
    ),
    # Source hosts
    "ScmUrls": record("web api ssh", web=TEXT, api=TEXT, ssh=TEXT),
    "Scm": record(
        "id provider",
        id=TEXT,
        name=TEXT,
        provider=PROVIDER,
        default=FLAG,
        enabled=FLAG,
        urls=ref("ScmUrls"),
    ),
    "ScmList": page_of("Scm"),
    "ScmCreation": record(
        "provider urls",
        id=TEXT,
        name=TEXT,
        enabled=FLAG,
        provider=PROVIDER,
        scm={"type": "object"},
        oauth={"type": "object"},
        urls=ref("ScmUrls"),
    ),
    "ScmCredentials": record(username=MIDDLE, password=SECRET, secretToken=SECRET),
    "ScmUpdate": record(enabled=FLAG, urls=ref("ScmUrls")),
    "ScmConnectionStatus": record(
        "scm_connection_status",
        scm_connection_status=word("active", "deploy_key_error", "provider_internal_error"),
        repository_webhook_secret=TEXT,
        repository_webhook_url=TEXT,
    ),
    "ScmUserOAuthStatus": record(
        authorization_status=word("authorized", "unauthorized"), scm_username=TEXT, scm_organizations=many(record())
    ),
    "WebhookEvent": {"type": "object"},
    "Readme": record("name content", name=TEXT, content=TEXT),
    "Commit": record("id short_message message author", id=TEXT, short_message=TEXT, message=TEXT, author=TEXT),
    "RepositoryCommitLog": record("commits", commits=many(ref("Commit"))),
    # Images of algorithms
    "ImagePushStatusList": many(record("status updated_at", status=TEXT, updated_at=TIME, status_message=TEXT)),
    "RegistryPublishAuth": record("registry_id", registry_id=TEXT, registry_username=TEXT, registry_password=TEXT),
    "RegistryCreate": record(
        "registry_url", name=TEXT, registry_url=TEXT, registry_username=TEXT, registry_password=TEXT
    ),
    "Registry": record(id=ID, created_at=TIME, name=TEXT, registry_url=TEXT),
    "Registries": many(ref("Registry")),
}
"""The schemas by name."""
