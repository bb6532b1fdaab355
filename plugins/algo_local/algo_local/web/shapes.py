"""JSON schemas of the bodies and parameters of operations (API sections 1 to 7).

A record takes the names of its members that are never missing, and all members by name. More members are never refused.
"""

from __future__ import annotations

from typing import Any

from algo_local.names import COLLECTION_LIMIT

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
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
NAME: Schema = {"type": "string", "maxLength": 30, "pattern": "^[a-zA-Z][a-zA-Z0-9_]*$"}
EMAIL: Schema = {"type": "string", "maxLength": 100, "pattern": "^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+[.][a-zA-Z]{2,6}$"}
SHORT: Schema = {"type": "string", "maxLength": 100}
MIDDLE: Schema = {"type": "string", "maxLength": 255}
LONG: Schema = {"type": "string", "maxLength": 100_000}
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
INSIGHT_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
SECRET: Schema = {"type": "string", "minLength": 1, "maxLength": 65536}
MOMENT: Schema = {"type": "string", "maxLength": 50}
"""A time in a request, in any of the forms of ISO 8601; without a zone it is UTC."""
VARIABLE: Schema = {"type": "string", "maxLength": 255, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
"""The name of an environment variable."""
PROVIDER: Schema = {"type": "string", "enum": ["internal", "github", "gitlab", "bitbucket", "bitbucket-cloud"]}
KEY_TYPE: Schema = {"type": "string", "enum": ["AlgorithmKey", "PlatformAdminKey", "ManagementKey"]}
GROUPS: Schema = {"type": ["array", "string"], "items": {"type": "string", "maxLength": 255}, "maxLength": 255}
"""Groups of an identity provider; some clients send one text."""


def record(required: str = "", /, **members: Schema) -> Schema:
    """An object; `required` are the names of the members that are never missing."""
    schema: Schema = {"type": "object", "properties": members}
    return {**schema, "required": required.split()} if required else schema


def many(schema: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": schema}


def word(*words: str) -> Schema:
    """A text out of several."""
    return {"type": "string", "enum": list(words)}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Schema:
    """A page of a collection (API section 1.6)."""
    return record("marker next_link results", marker=TEXT_OR_NULL, next_link=TEXT_OR_NULL, results=many(ref(name)))


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
"""What calls came to."""

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
    "CallStarted": {**record("async request_id", request_id=TEXT, notify=TEXT, **{"async": word("void")})},
    "CallMetadata": record(
        "duration",
        content_type=word("text", "json", "binary", "void"),
        duration=NUMBER,
        stdout=TEXT,
        timing=record("running total", running=WHOLE, total=WHOLE),
    ),
    "RequestContent": record(
        "content_type size sha256", content_type=word("text", "json", "binary"), size=WHOLE, sha256=TEXT
    ),
    "RequestRecord": record(
        "request_id state account algorithm version created_at void input output failure resource_type",
        request_id=TEXT,
        state=word("queued", "running", "done", "failed", "cancelled", "lost"),
        account=TEXT,
        algorithm=TEXT,
        version=TEXT,
        created_at=TIME,
        started_at=TIME_OR_NULL,
        finished_at=TIME_OR_NULL,
        duration={"type": ["number", "null"]},
        void=FLAG,
        worker=TEXT_OR_NULL,
        parent=TEXT_OR_NULL,
        idempotency_key=TEXT_OR_NULL,
        repeats=TEXT_OR_NULL,
        input={"oneOf": [ref("RequestContent"), {"type": "null"}]},
        output={"oneOf": [ref("RequestContent"), {"type": "null"}]},
        failure={"oneOf": [record("message error_type", message=TEXT, error_type=TEXT), {"type": "null"}]},
        notification=ref("RequestNotification"),
        insights=ref("InsightReport"),
        resource_type=word("request"),
    ),
    "Insight": record("insight_key insight_value", insight_key=INSIGHT_NAME, insight_value=SCALAR),
    "InsightReport": many(ref("Insight")),
    "CallInsights": record(
        "request_id timestamp duration_milliseconds algorithm_owner algorithm_name algorithm_version insights",
        request_id=TEXT,
        timestamp=TIME,
        duration_milliseconds={"type": ["number", "null"]},
        algorithm_owner=TEXT,
        algorithm_name=TEXT,
        algorithm_version=TEXT,
        insights=ref("InsightReport"),
    ),
    "PagedInsightsList": page_of("CallInsights"),
    "RequestNotification": record(
        "url state attempts",
        url=TEXT,
        state=word("waiting", "delivered", "failed"),
        attempts=WHOLE,
        next_attempt_at=TIME_OR_NULL,
        delivered_at=TIME_OR_NULL,
        last_error=TEXT_OR_NULL,
    ),
    "WebhookSecret": record("secret header", secret=TEXT, header=TEXT),
    "PagedRequestsList": page_of("RequestRecord"),
    "RequestPending": record("state request_id", state=word("queued", "running"), request_id=TEXT),
    "RequestLogs": record("request_id state logs", request_id=TEXT, state=TEXT, logs=TEXT),
    # Data
    "Directory": record(
        "folders files",
        folders=many(record("name", name=TEXT)),
        files=many(record("filename last_modified size", filename=TEXT, last_modified=TIME, size=WHOLE)),
        marker=TEXT,
        acl=ref("DirectoryAcl"),
    ),
    "DirectoryAcl": record(read=many(word("user://*", "algo://.my/*"))),
    "CreateDirectoryRequest": record("name", name={**NAME, "maxLength": COLLECTION_LIMIT}, acl=ref("DirectoryAcl")),
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
    "Details": record("label", label=TEXT, summary=TEXT, tagline=TEXT, tags=many(TEXT)),
    "Settings": record(
        algorithm_callability=word("public", "private"),
        source_visibility=word("open", "closed"),
        language=TEXT,
        environment=word("cpu", "gpu"),
        package_set=TEXT,
        algorithm_environment=ID,
        license=word("apl", "apache2", "gpl3", "mit"),
        royalty_microcredits={"type": "integer", "minimum": 0, "maximum": 1 << 53},
        network_access=word("isolated", "full"),
        pipeline_enabled=FLAG,
        request_records=word("full", "metadata", "none"),
        min_workers={"type": "integer", "minimum": 0, "maximum": 1000},
        max_workers={"type": "integer", "minimum": 0, "maximum": 1000},
        cpus={"type": ["number", "string"]},
        gpus={"type": ["number", "string"]},
        memory={"type": ["integer", "string"]},
        resources={"type": ["object", "string"], "additionalProperties": NUMBER},
        insights_enabled=FLAG,
    ),
    "VersionInfo": record(
        semantic_version=TEXT,
        git_hash=TEXT,
        version_uuid=TEXT,
        release_notes=TEXT,
        sample_input=TEXT,
        sample_output=TEXT,
        insights_enabled=FLAG,
    ),
    "DetailsUpdate": record(label=SHORT, summary=LONG, tagline=SHORT, tags=many(SHORT)),
    "SampleInput": record(sample_input=LONG),
    "CreateRequest": record(
        "name details settings",
        name=NAME,
        details={"allOf": [ref("DetailsUpdate"), record("label")]},
        settings={"allOf": [ref("Settings"), record("source_visibility license network_access pipeline_enabled")]},
        source=record(
            scm=TEXT,
            repository_name=TEXT,
            repository_owner=TEXT,
            existing_repository_name=TEXT,
            initial_commit_message=LONG,
        ),
        scmsCredentials=ref("ScmCredentials"),
        version_info=ref("SampleInput"),
    ),
    "UpdateRequest": record(details=ref("DetailsUpdate"), settings=ref("Settings"), version_info=ref("SampleInput")),
    "BuildRequest": record(sshPrivateKey=TEXT, commitSha=MIDDLE, registry_push_credentials={"type": "object"}),
    "VersionRequest": record(
        details=ref("DetailsUpdate"),
        settings=ref("Settings"),
        version_info=record(
            version_type=word("major", "minor", "revision", "patch"),
            semantic_version={"type": "string", "pattern": r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"},
            release_notes=LONG,
            sample_input=LONG,
            sample_output=LONG,
            insights_enabled=FLAG,
        ),
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
        source=record("scm", scm=ref("Scm"), repository_name=TEXT, repository_owner=TEXT, repository_https_url=TEXT),
        owner=TEXT,
        self_link=TEXT,
        resource_type=word("algorithm"),
        schemas=record(input=ANYTHING, output=ANYTHING),
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
    # People
    "User": record(
        "username email",
        username=NAME,
        email=EMAIL,
        fullname=SHORT,
        company_name=SHORT,
        company_role=MIDDLE,
        is_administrator=FLAG,
    ),
    "UserUpdate": record(
        username=NAME, email=EMAIL, fullname=SHORT, company_name=SHORT, company_role=MIDDLE, is_administrator=FLAG
    ),
    "UserResponse": record(
        "id username email fullname company_name company_role is_administrator self_link resource_type",
        id=ID,
        username=TEXT,
        email=TEXT,
        fullname=TEXT,
        company_name=TEXT,
        company_role=TEXT,
        is_administrator=FLAG,
        self_link=TEXT,
        resource_type=word("user"),
    ),
    "PagedUsersList": page_of("UserResponse"),
    # Keys
    "AuthPermissions": record(
        allow_data=FLAG,
        allow_data_write=FLAG,
        allow_algo=FLAG,
        allow_web_algo=FLAG,
        referer_host=MIDDLE,
        allow_algo_management=FLAG,
        algo_acl=many(MIDDLE),
    ),
    "ApiKeyCreation": record(key_label=SHORT, key_type=KEY_TYPE, permissions=ref("AuthPermissions"), expires_at=MOMENT),
    "OrganizationApiKeyCreation": record(
        "key_label permissions", key_label=SHORT, permissions=ref("AuthPermissions"), expires_at=MOMENT
    ),
    "ApiKeyUpdate": record(key_label=SHORT, permissions=ref("AuthPermissions"), expires_at=MOMENT),
    "ApiKeyImport": record(
        key_label=SHORT, key_type=KEY_TYPE, permissions=ref("AuthPermissions"), expires_at=MOMENT, api_key=TEXT
    ),
    "ApiKey": record(
        "key_id username key_label created_at api_key_mask api_key key_type permissions owner_name",
        key_id=TEXT,
        username=TEXT,
        key_label=TEXT,
        created_at=TIME,
        api_key_mask=TEXT,
        api_key=TEXT,
        key_type=KEY_TYPE,
        permissions=ref("AuthPermissions"),
        owner_name=TEXT,
        expires_at=TIME_OR_NULL,
        last_used_at=TIME_OR_NULL,
    ),
    "ApiKeyList": many(ref("ApiKey")),
    # Notifications and listeners
    "NotificationContexts": many(
        record(
            "algorithm_id username algoname notification_type created_at",
            algorithm_id=ID,
            username=TEXT,
            algoname=TEXT,
            semantic_version=TEXT,
            notification_type=TEXT,
            created_at=TIME,
        )
    ),
    "EventListenerRequest": record(
        "algoName algoOwner credentials sourceType sourceURI",
        algoName=MIDDLE,
        algoOwner=MIDDLE,
        algoVersion=MIDDLE,
        algoTimeoutSeconds={"type": "integer", "minimum": 1, "maximum": 3000},
        credentials=MIDDLE,
        sourceType=word("AmazonSQS", "AzureSB"),
        sourceURI=MIDDLE,
    ),
    "EventListenerUpdate": record(
        algoVersion=MIDDLE,
        algoTimeoutSeconds={"type": "integer", "minimum": 1, "maximum": 3000},
        credentials=MIDDLE,
        sourceURI=MIDDLE,
    ),
    "EventListener": record(
        "id sourceType sourceURI algoName algoOwner algoVersion algoTimeoutSeconds listenerOwner credentials",
        id=WHOLE,
        sourceType=word("AmazonSQS", "AzureSB"),
        sourceURI=TEXT,
        algoName=TEXT,
        algoOwner=TEXT,
        algoVersion=TEXT,
        algoTimeoutSeconds=WHOLE,
        listenerOwner=TEXT,
        credentials=TEXT,
    ),
    "PagedEventListenersList": page_of("EventListener"),
    "ScheduleRequest": record(
        "algorithm cron",
        algorithm=MIDDLE,
        cron=MIDDLE,
        timezone=MIDDLE,
        input=ANYTHING,
    ),
    "Schedule": record(
        "id algorithm cron timezone input created_at next_at last_at last_request_id problem missed",
        id=ID,
        algorithm=TEXT,
        cron=TEXT,
        timezone=TEXT,
        input=ANYTHING,
        created_at=TIME,
        next_at=TIME,
        last_at=TIME_OR_NULL,
        last_request_id=TEXT_OR_NULL,
        problem=TEXT,
        missed=WHOLE,
    ),
    "PagedSchedulesList": page_of("Schedule"),
    "IncomingWebhookRequest": record("algorithm", algorithm=MIDDLE),
    "IncomingWebhook": record(
        "id algorithm created_at last_at last_request_id problem",
        id=ID,
        algorithm=TEXT,
        url=TEXT,
        created_at=TIME,
        last_at=TIME_OR_NULL,
        last_request_id=TEXT_OR_NULL,
        problem=TEXT,
    ),
    "PagedIncomingWebhooksList": page_of("IncomingWebhook"),
    # Organizations
    "Organization": record(
        "org_name org_label org_contact_name org_email type_id",
        org_name=NAME,
        org_label=SHORT,
        org_contact_name=SHORT,
        org_email=EMAIL,
        org_url=SHORT,
        type_id=ID,
        stripe_customer_id=MIDDLE,
        external_id=MIDDLE,
        external_admin_group=GROUPS,
        external_member_group=GROUPS,
        external_executor_group=GROUPS,
        owner_ids=many(ID),
    ),
    "OrganizationResponse": record(
        "id org_name org_label org_contact_name org_email org_created_at type_id owner_ids resource_type self_link",
        id=ID,
        org_name=TEXT,
        org_label=TEXT,
        org_contact_name=TEXT,
        org_email=TEXT,
        org_created_at=TEXT,
        org_url=TEXT,
        type_id=ID,
        stripe_customer_id=TEXT,
        external_id=TEXT_OR_NULL,
        external_admin_group=GROUPS,
        external_member_group=GROUPS,
        external_executor_group=GROUPS,
        owner_ids=many(ID),
        resource_type=word("organization"),
        self_link=TEXT,
    ),
    "PagedOrganizationsList": page_of("OrganizationResponse"),
    "OrganizationType": record("id name", id=ID, name=TEXT),
    "OrganizationTypeCreation": record("name", id=ID, name=NAME),
    "OrganizationTypeList": many(ref("OrganizationType")),
    "MemberRole": record(role=word("owner", "member", "invited")),
    "OrganizationMember": record(
        "username role user_link resource_type",
        username=TEXT,
        role=word("owner", "member", "invited", "unknown"),
        user_link=TEXT,
        resource_type=word("organization_member"),
    ),
    "PagedMembersList": page_of("OrganizationMember"),
    "HostUsernames": many(record("algorithm_id functional_id", algorithm_id=TEXT, functional_id=TEXT)),
    "HostUsernameUpdates": record(updates=ref("HostUsernames")),
    "HostInformationCreation": record("host_username host_user_id", host_username=TEXT, host_user_id=TEXT),
    "HostInformation": record(
        "org_id host_username host_user_id", id=ID, org_id=ID, host_username=TEXT, host_user_id=TEXT
    ),
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
"""All that are JSON, by name."""

CONTENT: dict[str, dict[str, Schema]] = {
    "Input": {"application/json": ANYTHING, "text/plain": TEXT, "application/octet-stream": BINARY},
    "RequestResult": {"application/json": ref("CallResult"), "text/plain": TEXT, "application/octet-stream": BINARY},
    "File": {"application/octet-stream": BINARY},
    "FileOrDirectory": {"application/json": {"anyOf": [ref("Directory"), ANYTHING]}, "*/*": BINARY},
    "Archive": {"application/gzip": BINARY},
    "SourceArchive": {"application/octet-stream": BINARY},
    "Image": {"image/*": BINARY},
    "Text": {"text/plain": TEXT},
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
