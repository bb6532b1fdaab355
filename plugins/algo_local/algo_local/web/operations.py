"""The operations of the API, one row each: routing, 404, 405, HEAD, authorization and the OpenAPI document follow.

A path is a template below `/v1`. A name in braces stands for one component, and these for more:

- `{algorithm}`: an algorithm as `OWNER/NAME` or by its id.
- `{reference*}`: an algorithm, and maybe a version, as a client pasted it, `algo://` included (API section 3.1).
- `{path*}`, `{location*}`: the undecoded rest, which data operations read by rules of their own (API section 4.1).
- `a|b`: two spellings of one word; the first is the documented one.

Where GET is possible, HEAD is as well. Handlers are `module:function` in `web/handlers`, imported when first called.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple


class Who(IntEnum):
    """The role of a caller towards the object of a path; each level includes the previous ones."""

    ANYONE = 0
    """No credential is needed, and none is looked at."""
    ACCOUNT = 1
    VIEWER = 2
    """May see it; to everybody else it does not exist (404)."""
    INVITED = 3
    """Asked to become a member of the organization, and free to say yes or no."""
    MEMBER = 4
    """A member of the organization that owns it; if a person owns it, that person."""
    OWNER = 5
    """The account itself, or an owner of the organization."""
    ADMINISTRATOR = 6


class Permission(Enum):
    """The required permission of a key (API section 1.3)."""

    READ_DATA = "read data"
    WRITE_DATA = "write data"
    CALL = "call algorithms"
    CALL_FROM_PAGE = "call algorithms from web pages"
    MANAGE = "manage"
    """Algorithms, and all that belongs to the account: keys, connectors, organizations, secrets."""


class Access(NamedTuple):
    """The required role, and the required permission of the key."""

    who: Who
    permission: Permission | None = None


class Operation(NamedTuple):
    """One row."""

    method: str
    path: str
    id: str
    access: Access
    handler: str
    summary: str
    request: str = ""
    """The schema of the body, by its name in `schemas/bodies.py`; with `?` the body is optional."""
    response: str = ""
    """The shape of the answer."""
    status: int = 200
    """The status of a success."""
    query: str = ""
    """The names of query parameters, with their schemas in `schemas/parameters.py`."""
    feature: str = ""
    """The switch of `features.py` that turns it off."""


PUBLIC = Access(Who.ANYONE)
ANY_KEY = Access(Who.ACCOUNT)
READ = Access(Who.ACCOUNT, Permission.READ_DATA)
WRITE = Access(Who.ACCOUNT, Permission.WRITE_DATA)
CALL = Access(Who.VIEWER, Permission.CALL)
CALLS = Access(Who.ACCOUNT, Permission.CALL)
CALL_FROM_PAGE = Access(Who.VIEWER, Permission.CALL_FROM_PAGE)
VIEW = Access(Who.VIEWER)
READ_SOURCE = Access(Who.VIEWER, Permission.MANAGE)
"""Access to source code: everybody if it is open, else members."""
LOOK = Access(Who.MEMBER)
ANSWER = Access(Who.INVITED, Permission.MANAGE)
MEMBER = Access(Who.MEMBER, Permission.MANAGE)
OWNER = Access(Who.OWNER, Permission.MANAGE)
CREATE = Access(Who.ACCOUNT, Permission.MANAGE)
ADMINISTRATOR = Access(Who.ADMINISTRATOR, Permission.MANAGE)

# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    # Calls (API section 3)
    Operation("POST", "algo/{reference*}", "callAlgorithm", CALL, "invoke:invoke",
              "Call an algorithm", "Input", "CallResult",
              query="timeout stdout output notify notify_output timing sudo"),
    Operation("POST", "web/algo/{reference*}", "callAlgorithmFromPage", CALL_FROM_PAGE, "invoke:invoke",
              "Call an algorithm from a web page", "Input", "CallResult",
              query="timeout stdout output notify notify_output timing sudo", feature="web_calls"),
    Operation("OPTIONS", "web/algo/{reference*}", "preflightCall", PUBLIC, "invoke:preflight",
              "Tell a browser that pages may call algorithms", status=204),

    # Calls on record (API section 3.11)
    Operation("GET", "requests", "listRequests", CALLS, "requests:index", "List calls on record, newest first",
              response="PagedRequestsList", query="state algorithm since account limit marker sudo"),
    Operation("GET", "requests/{requestId}", "getRequest", CALL, "requests:show", "Show a call on record",
              response="RequestRecord", query="sudo"),
    Operation("GET", "requests/{requestId}/result", "getRequestResult", CALL, "requests:result",
              "Fetch the result of a call; 202 while it has not ended", response="RequestResult",
              query="wait output stdout sudo"),
    Operation("GET", "requests/{requestId}/input", "getRequestInput", CALL, "requests:given",
              "Fetch the input of a call", response="Input", query="sudo"),
    Operation("GET", "requests/{requestId}/logs", "getRequestLogs", CALL, "requests:logs",
              "Show what an algorithm printed during a call", response="RequestLogs", query="wait sudo"),
    Operation("POST", "requests/{requestId}/cancel", "cancelRequest", CALL, "requests:cancel",
              "End a call that waits or runs", response="RequestRecord", query="wait sudo"),
    Operation("GET", "webhook-secret", "getWebhookSecret", CREATE, "requests:secret",
              "Show the secret with which the account's notifications are signed", response="WebhookSecret"),

    Operation("POST", "insights", "reportInsights", CALLS, "insights:report",
              "Report insights of the call that a running algorithm serves", "InsightReport", status=204),

    # Data (API section 4)
    Operation("GET", "data", "listRoot", ANY_KEY, "data:root",
              "List the roots of hosted data, the caller's own name first", response="Directory", query="acl marker"),
    Operation("GET", "data/{path*}", "getData", READ, "data:answer",
              "Read a file, or list a directory", response="FileOrDirectory", query="acl marker"),
    Operation("HEAD", "data/{path*}", "verifyData", READ, "data:answer", "Tell whether a file or directory exists"),
    Operation("PUT", "data/{path*}", "uploadData", WRITE, "data:answer", "Store a file", "File", "Created"),
    Operation("POST", "data/{path*}", "createDataDirectory", WRITE, "data:answer",
              "Make a directory", "CreateDirectoryRequest", "Created"),
    Operation("PATCH", "data/{path*}", "updateDataAcl", WRITE, "data:answer",
              "Change who may read a collection", "DirectoryAclUpdateRequest"),
    Operation("DELETE", "data/{path*}", "deleteData", WRITE, "data:answer",
              "Delete a file or directory", response="Deleted", query="force"),
    Operation("GET", "connector", "listConnectorRoot", ANY_KEY, "data:root",
              "List the roots of hosted data", response="Directory", query="acl marker"),
    Operation("GET", "connector/{location*}", "getFileOrDirectory", READ, "data:answer",
              "Read a file, or list a directory", response="FileOrDirectory", query="acl marker"),
    Operation("HEAD", "connector/{location*}", "verifyFileExistence", READ, "data:answer",
              "Tell whether a file or directory exists"),
    Operation("PUT", "connector/{location*}", "uploadFile", WRITE, "data:answer", "Store a file", "File", "Created"),
    Operation("POST", "connector/{location*}", "createDirectory", WRITE, "data:answer",
              "Make a directory", "CreateDirectoryRequest", "Created"),
    Operation("PATCH", "connector/{location*}", "updateDirectoryAcl", WRITE, "data:answer",
              "Change who may read a collection", "DirectoryAclUpdateRequest"),
    Operation("DELETE", "connector/{location*}", "deleteFileOrDirectory", WRITE, "data:answer",
              "Delete a file or directory", response="Deleted", query="force"),

    # Languages, environments, templates (API section 5)
    Operation("GET", "algorithm-environments/edge/languages", "listLanguages", ANY_KEY, "environments:languages",
              "List the languages of algorithms", response="Languages"),
    Operation("GET", "algorithm-environments/edge/languages/{language}/environments", "listEnvironments", ANY_KEY,
              "environments:environments", "List the environments of a language", response="Environments"),
    Operation("GET", "algorithm-environments/edge/environments/available", "listAvailableEnvironments", ANY_KEY,
              "environments:available", "List all environments", response="EnvironmentList"),
    Operation("GET", "algorithm-environments/edge/environment-specifications/{specificationId}/template",
              "downloadTemplate", PUBLIC, "environments:template", "Download the template of an environment",
              response="Archive"),

    # Algorithms (API section 6)
    Operation("GET", "algorithms", "searchAlgorithms", ANY_KEY, "algorithms:search",
              "List the algorithms that the caller may see, or those that match", response="PagedVersionsList",
              query="q owner tag limit marker"),
    Operation("GET", "algorithms/{algorithm}", "getAlgorithm", VIEW, "algorithms:show",
              "Show an algorithm by its newest version", response="VersionResponse"),
    Operation("PUT", "algorithms/{algorithm}", "updateAlgorithm", MEMBER, "algorithms:update",
              "Change the description and settings of an algorithm", "UpdateRequest", "VersionResponse"),
    Operation("DELETE", "algorithms/{algorithm}", "deleteAlgorithm", MEMBER, "algorithms:delete",
              "Delete an algorithm; a public one, only administrators", status=204),
    Operation("POST", "algorithms/{username}", "createAlgorithm", MEMBER, "algorithms:create",
              "Create an algorithm", "CreateRequest", "VersionResponse", 201, feature="create_algorithms"),
    Operation("POST", "algorithms/{algorithm}/compile", "compileAlgorithm", MEMBER,
              "builds:compile_source", "Build a commit of an algorithm's repository, or the newest", "BuildRequest?",
              "VersionResponse"),
    Operation("GET", "algorithms/{algorithm}/versions|version", "getAlgorithmVersions", VIEW, "algorithms:versions",
              "List the versions of an algorithm", response="PagedVersionsList",
              query="limit marker published callable"),
    Operation("POST", "algorithms/{algorithm}/versions|version", "publishAlgorithm", MEMBER, "builds:publish",
              "Publish the build that succeeded last as a version", "VersionRequest", "VersionResponse"),
    Operation("GET", "algorithms/{algorithm}/versions|version/{algohash}", "getAlgorithmHashVersion", VIEW,
              "algorithms:version", "Show a version by the hash of its build", response="VersionResponse"),
    Operation("DELETE", "algorithms/{algorithm}/versions|version/{algohash}", "unpublishAlgorithm", MEMBER,
              "algorithms:unpublish", "Take a version back, given by its number, or all of a build by its hash",
              status=204),
    Operation("GET", "algorithms/{algorithm}/versions|version/{algohash}/registry", "GetAlgorithmImagePushStatus",
              MEMBER, "refused:refuse", "Show how the image of a version came to a registry",
              response="ImagePushStatusList"),
    Operation("POST", "algorithms/{algorithm}/versions|version/{algohash}/registry", "RepublishAlgorithm", MEMBER,
              "refused:refuse", "Push the image of a version to a registry", "RegistryPublishAuth", status=204),
    Operation("GET", "algorithms/{algorithm}/builds", "getAlgorithmBuilds", MEMBER, "builds:index",
              "List the builds of an algorithm", response="PagedBuildsList", query="limit marker"),
    Operation("GET", "algorithms/{algorithm}/builds/{buildid}", "getAlgorithmBuildById", MEMBER, "builds:show",
              "Show a build", response="Build"),
    Operation("GET", "algorithms/{algorithm}/builds/{buildid}/logs", "getAlgorithmBuildLogs", MEMBER,
              "builds:logs", "Show what a build had to say", response="BuildLogs", query="partial"),
    Operation("GET", "algorithms/{algorithm}/errors", "getAlgorithmErrorsByAlgorithmName", MEMBER,
              "usage:errors_of_algorithm",
              "List the calls of an algorithm that failed of late", response="ErrorEntries"),
    Operation("GET", "algorithms/{algorithm}/insights", "getAlgorithmInsights", MEMBER, "insights:index",
              "List what the calls of an algorithm reported about themselves", response="PagedInsightsList",
              query="since limit marker"),
    Operation("GET", "algorithms/{algorithm}/log", "commitLogForRepository", READ_SOURCE, "sources:log",
              "List the commits of an algorithm's repository", response="RepositoryCommitLog", query="since until"),
    Operation("GET", "algorithms/{algorithm}/readme", "getReadme", VIEW, "sources:readme",
              "Show the README of the newest version", response="Readme"),
    Operation("GET", "algorithms/{algorithm}/source", "downloadSource", READ_SOURCE, "sources:download",
              "Download the files of a commit, or of the newest, as a tar archive", response="Archive", query="commit"),
    Operation("PUT", "algorithms/{algorithm}/source", "uploadSource", MEMBER, "sources:upload",
              "Make the files of an archive (tar or zip) the newest commit", "SourceArchive", "Commit",
              query="message"),
    Operation("GET", "algorithms/{algorithm}/scm/status", "getAlgorithmScmConnectionStatus", MEMBER, "scms:connection",
              "Show how the platform reaches an algorithm's repository", response="ScmConnectionStatus"),
    Operation("POST", "algorithms/{algorithm}/scm/webhook", "receiveScmRepositoryEvent", PUBLIC, "scms:webhook",
              "Receive a push notification of a source host", "WebhookEvent", status=204),
    Operation("GET", "algorithms/{algorithm}/secrets", "getAlgorithmSecrets", MEMBER, "secrets:index",
              "List an algorithm's secrets, without their values", response="AlgorithmSecretList"),
    Operation("POST", "algorithms/{algorithm}/secrets", "createAlgorithmSecret", MEMBER, "secrets:create",
              "Give an algorithm a secret", "AlgorithmSecretCreateRequest", "AlgorithmSecretResult"),
    Operation("PUT", "algorithms/{algorithm}/secrets/{secretId}", "editAlgorithmSecret", MEMBER, "secrets:edit",
              "Change a secret", "AlgorithmSecretEditRequest", "AlgorithmSecretResult"),
    Operation("DELETE", "algorithms/{algorithm}/secrets/{secretId}", "deleteAlgorithmSecret", MEMBER, "secrets:delete",
              "Delete a secret", status=204),
    Operation("POST", "algorithms/{algorithm}/collections/{collectionId}", "assignCollection", MEMBER,
              "collections:assign", "Make a collection an algorithm's data://.algo/default", status=204),
    Operation("GET", "secret-provider", "listSecretProviders", ANY_KEY, "secrets:providers",
              "List where secrets are kept", response="ListProviderInfo"),

    # Data sources (API section 4.9)
    Operation("GET", "hostedData", "listHostedData", READ, "collections:index",
              "List the caller's collections with their ids", response="HostedDataList"),
    Operation("GET", "users/{username}/connectors", "listConnectorsForUser", MEMBER, "connectors:index",
              "List the connectors of an account", response="PagedConnectorsList", query="limit marker"),
    Operation("POST", "users/{username}/connectors", "createConnectorForUserById", OWNER, "connectors:create",
              "Connect a store", "Connector", "ConnectorResponse"),
    Operation("GET", "users/{username}/connectors/{connectorUuid}", "getConnector", MEMBER, "connectors:show",
              "Show a connector, without what opens it", response="ConnectorResponse"),
    Operation("PATCH", "users/{username}/connectors/{connectorUuid}", "updateConnector", OWNER, "connectors:edit",
              "Change a connector", "ConnectorUpdate", "ConnectorResponse"),
    Operation("DELETE", "users/{username}/connectors/{connectorUuid}", "deleteConnector", OWNER, "connectors:delete",
              "Disconnect a store; its content stays", status=204),

    # Source hosts (API section 6.5)
    Operation("GET", "scms", "listScms", ANY_KEY, "scms:index", "List the source hosts", response="ScmList"),
    Operation("GET", "scms/{scmId}", "getScm", ANY_KEY, "scms:show", "Show a source host", response="Scm"),
    Operation("GET", "scms/{scmId}/oauth/start", "initiateScmAuthorization", ANY_KEY, "scms:refuse_oauth",
              "Begin to authorize the platform at a source host", status=303),
    Operation("GET", "scms/{scmId}/oauth/finish", "completeScmAuthorization", ANY_KEY, "scms:refuse_oauth",
              "Finish to authorize the platform at a source host", query="code"),
    Operation("GET", "scms/{scmId}/oauth/status", "getScmStatus", ANY_KEY, "scms:status",
              "Show whether the platform is authorized at a source host", response="ScmUserOAuthStatus"),
    Operation("POST", "scms/{scmId}/oauth/revoke", "revokeScmAuthorization", ANY_KEY, "scms:refuse_oauth",
              "Take an authorization back", status=204),
    Operation("POST", "scms/{scmId}/token/connect", "addScmConnection", CREATE, "scms:connect",
              "Give the platform a token of a source host", "ScmCredentials", "ScmUserOAuthStatus"),
    Operation("GET", "scms/{scmId}/token/status", "scmTokenStatus", ANY_KEY, "scms:token_status",
              "Show whether the platform has a token of a source host", response="ScmUserOAuthStatus"),

    # People (API section 7)
    Operation("GET", "users", "getUsers", ADMINISTRATOR, "users:index", "List the people",
              response="PagedUsersList", query="limit marker"),
    Operation("POST", "users", "createUser", ADMINISTRATOR, "users:create", "Make an account for a person",
              "User", "UserResponse"),
    Operation("GET", "users/{username}", "getUser", Access(Who.OWNER), "users:show", "Show a person's account",
              response="UserResponse"),
    Operation("PUT", "users/{username}", "updateUser", OWNER, "users:update", "Change what an account says",
              "UserUpdate", "UserResponse"),
    Operation("DELETE", "users/{username}", "deleteUser", ADMINISTRATOR, "users:delete",
              "Delete an account with all that belongs to it", status=204),
    Operation("GET", "users/{username}/algorithms", "listAlgorithmsForUser", ANY_KEY, "algorithms:of_account",
              "List the algorithms of an account", response="AlgorithmListResult"),
    Operation("GET", "users/{username}/keys", "getKeysForUser", OWNER, "keys:index", "List the keys of an account",
              response="ApiKeyList"),
    Operation("POST", "users/{username}/keys", "createKeyForUser", OWNER, "keys:create", "Make a key",
              "ApiKeyCreation", "ApiKey"),
    Operation("PUT", "users/{username}/keys/{keyId}", "updateKey", OWNER, "keys:edit", "Change what a key may do",
              "ApiKeyUpdate", "ApiKey"),
    Operation("DELETE", "users/{username}/keys/{keyId}", "deleteKey", OWNER, "keys:delete", "Revoke a key",
              status=204),
    Operation("POST", "users/{username}/keys/{keyId}/rotate", "rotateKey", OWNER, "keys:rotate",
              "Exchange a key for a new one with the same rights", response="ApiKey"),
    Operation("GET", "users/{userId}/errors", "getAlgorithmErrorsByUserId", Access(Who.MEMBER, Permission.MANAGE),
              "usage:errors_of_account", "List the calls of an account's algorithms that failed of late",
              response="ErrorEntries"),
    Operation("GET", "users/{userId}/notifications", "getUserNotifications", Access(Who.OWNER), "notifications:index",
              "List the notifications of an account", response="NotificationContexts", query="event_types since limit"),
    Operation("GET", "users/{username}/schedules", "listSchedules", MEMBER, "schedules:index",
              "List an account's schedules", response="PagedSchedulesList", query="limit marker"),
    Operation("POST", "users/{username}/schedules", "createSchedule", OWNER, "schedules:create",
              "Create a schedule: call an algorithm at times that repeat", "ScheduleRequest", "Schedule", 201),
    Operation("GET", "users/{username}/schedules/{scheduleId}", "getSchedule", MEMBER, "schedules:show",
              "Show a schedule", response="Schedule"),
    Operation("DELETE", "users/{username}/schedules/{scheduleId}", "deleteSchedule", OWNER, "schedules:delete",
              "Delete a schedule", status=204),
    Operation("GET", "users/{username}/incoming-webhooks", "listIncomingWebhooks", MEMBER, "incoming_webhooks:index",
              "List an account's incoming webhooks", response="PagedIncomingWebhooksList", query="limit marker"),
    Operation("POST", "users/{username}/incoming-webhooks", "createIncomingWebhook", OWNER, "incoming_webhooks:create",
              "Make an address at which other services call an algorithm", "IncomingWebhookRequest",
              "IncomingWebhook", 201),
    Operation("DELETE", "users/{username}/incoming-webhooks/{webhookId}", "deleteIncomingWebhook", OWNER,
              "incoming_webhooks:delete", "Delete an incoming webhook", status=204),
    Operation("POST", "webhooks/{webhookToken}", "receiveWebhook", PUBLIC, "incoming_webhooks:receive",
              "Call the algorithm of an incoming webhook", "Input", "CallStarted"),
    Operation("GET", "users/{userId}/event-listeners", "getEventListenersForUserById", MEMBER, "event_listeners:index",
              "List an account's listeners to queues", response="PagedEventListenersList", query="limit marker"),
    Operation("POST", "users/{userId}/event-listeners", "postEventListenersForUserById", OWNER,
              "event_listeners:create", "Listen to a queue", "EventListenerRequest", "EventListener"),
    Operation("GET", "users/{userId}/event-listeners/{eventListenerId}", "getEventListenerByIdForUserById", MEMBER,
              "event_listeners:show", "Show a listener", response="EventListener"),
    Operation("PUT", "users/{userId}/event-listeners/{eventListenerId}", "updateEventListenerForUserById", OWNER,
              "event_listeners:update", "Change a listener", "EventListenerUpdate", "EventListener"),
    Operation("DELETE", "users/{userId}/event-listeners/{eventListenerId}", "deleteEventListenerForUserById", OWNER,
              "event_listeners:delete", "Stop to listen"),
    Operation("POST", "invites/{invite_code}", "acceptInvite", PUBLIC, "invites:accept",
              "Make an account for oneself with an invite", "User", "ApiKey", 201, feature="invites"),

    # Organizations (API section 7)
    Operation("GET", "organizations", "getOrganizations", ANY_KEY, "organizations:index",
              "List the organizations of the caller; administrators, all", response="PagedOrganizationsList",
              query="limit marker"),
    Operation("POST", "organizations", "createOrganization", CREATE, "organizations:create",
              "Make an organization", "Organization", "OrganizationResponse", feature="create_organizations"),
    Operation("GET", "organizations/externalId/{externalId}", "getOrganizationByExternalId", ADMINISTRATOR,
              "organizations:by_external_id", "Show an organization by the id that it has elsewhere",
              response="OrganizationResponse"),
    Operation("GET", "organizations/{orgName}", "getOrganization", LOOK, "organizations:show",
              "Show an organization", response="OrganizationResponse"),
    Operation("PUT", "organizations/{orgName}", "edit", OWNER, "organizations:edit", "Change an organization",
              "Organization", status=204),
    Operation("DELETE", "organizations/{orgName}", "deleteOrganization", OWNER, "organizations:delete",
              "Delete an organization with all that belongs to it", status=204),
    Operation("GET", "organizations/{orgName}/members", "listMembers", LOOK, "organizations:members",
              "List the members", response="PagedMembersList", query="limit marker"),
    Operation("PUT", "organizations/{orgName}/members/{member}", "addOrganizationMember", ANSWER,
              "organizations:put_member", "Add or invite a member, change a role, or accept an invitation",
              "MemberRole?", "OrganizationMember"),
    Operation("DELETE", "organizations/{orgName}/members/{member}", "removeOrganizationMember", ANSWER,
              "organizations:remove_member", "End a membership, or decline an invitation", status=204),
    Operation("POST", "organizations/{orgName}/members/{member}/keys", "addOrganizationApiKey", OWNER,
              "keys:create_for_member", "Make a key of the organization for a member", "ApiKeyCreation", "ApiKey", 201),
    Operation("GET", "organizations/{orgName}/keys", "listKeys", OWNER, "keys:index",
              "List the keys of an organization", response="ApiKeyList"),
    Operation("POST", "organizations/{orgName}/keys", "createKeyForOrganization", OWNER, "keys:create",
              "Make a key of the organization", "OrganizationApiKeyCreation", "ApiKey"),
    Operation("PUT", "organizations/{orgName}/keys/{keyId}", "updateOrganizationKey", OWNER, "keys:edit",
              "Change what a key may do", "ApiKeyUpdate", "ApiKey"),
    Operation("DELETE", "organizations/{orgName}/keys/{keyId}", "deleteOrganizationKey", OWNER, "keys:delete",
              "Revoke a key", status=204),
    Operation("POST", "organizations/{orgName}/keys/{keyId}/rotate", "rotateOrganizationKey", OWNER, "keys:rotate",
              "Exchange a key for a new one with the same rights", response="ApiKey"),
    Operation("GET", "organizations/{orgName}/errors", "getOrganizationErrors", MEMBER,
              "usage:errors_of_account", "List the calls of an organization's algorithms that failed of late",
              response="ErrorEntries"),
    Operation("GET", "organizations/{orgName}/utility-algorithms", "getUtilityAlgorithms", LOOK,
              "algorithms:of_account", "List the algorithms of an organization", response="AlgorithmListResult"),
    Operation("GET", "organizations/{orgName}/algorithms-host-usernames", "getHostUsernames", OWNER, "refused:refuse",
              "List as whom algorithms run on their hosts", response="HostUsernames"),
    Operation("PUT", "organizations/{orgName}/algorithms-host-usernames", "setHostUsernames", OWNER, "refused:refuse",
              "Say as whom algorithms run on their hosts", "HostUsernameUpdates", status=204),
    Operation("DELETE", "organizations/{orgName}/algorithms-host-usernames/{algorithmId}", "deleteHostUsernames", OWNER,
              "refused:refuse", "Forget as whom an algorithm runs on its host", status=204),
    Operation("GET", "organization/types", "getAllOrganizationTypes", ANY_KEY, "organizations:types",
              "List the types of organizations", response="OrganizationTypeList"),
    Operation("POST", "organization/types", "create", ADMINISTRATOR, "organizations:create_type",
              "Make a type of organizations", "OrganizationTypeCreation", "OrganizationType"),
    Operation("DELETE", "organization/types/{orgTypeName}", "deleteByName", ADMINISTRATOR,
              "organizations:delete_type", "Remove a type of organizations", status=204),

    # Administration
    Operation("GET", "admin/features", "featureFlagList", ADMINISTRATOR, "features:index",
              "List the switches of the platform, or those of an account", response="FeatureFlagList",
              query="username"),
    Operation("PUT", "admin/features/{featureName}", "toggleFeatureFlag", ADMINISTRATOR, "features:toggle",
              "Turn a switch, for all or for one account", "FeatureFlagToggle", status=204, query="username"),
    Operation("GET", "admin/invites", "getInvites", ADMINISTRATOR, "invites:index", "List the invites",
              response="InviteCodes"),
    Operation("POST", "admin/invites", "addInvite", ADMINISTRATOR, "invites:create", "Make an invite",
              "NewInviteCode", "InviteCode"),
    Operation("DELETE", "admin/invites/{invite_code}", "deleteInvite", ADMINISTRATOR, "invites:delete",
              "Take an invite back"),
    Operation("GET", "admin/reservations", "getReservations", ADMINISTRATOR, "reservations:index",
              "List the reserved workers", response="Reservations"),
    Operation("POST", "admin/reservations", "createReservation", ADMINISTRATOR, "reservations:create",
              "Reserve workers for a caller of an algorithm", "ReservationCreate", "Reservation"),
    Operation("DELETE", "admin/reservations/{reservation_id}", "deleteReservation", ADMINISTRATOR,
              "reservations:delete", "Give reserved workers back"),
    Operation("GET", "admin/usage", "getFullUsage", ADMINISTRATOR, "usage:everything",
              "Count calls by caller, algorithm and version", response="FullUsageResult",
              query="user start_date end_date marker page_size"),
    Operation("GET", "admin/usage/algorithms", "getAlgorithmUsageResult", ADMINISTRATOR, "usage:by_algorithm",
              "Count calls by algorithm and version", response="AlgorithmUsageResult",
              query="user start_date end_date marker page_size"),
    Operation("GET", "admin/usage/users", "getUserUsageResult", ADMINISTRATOR, "usage:by_caller",
              "Count calls by caller", response="UserUsageResult", query="user start_date end_date marker page_size"),
    Operation("GET", "admin/legacy-algorithms", "getLegacyAlgorithmiUsageResult", ADMINISTRATOR,
              "algorithms:legacy", "List the algorithms in languages of before there were environments",
              response="LegacyAlgorithms"),
    Operation("POST", "admin/users/{username}/keys", "importApiKey", ADMINISTRATOR, "keys:import_key",
              "Give an account a key that is known elsewhere, or a new one", "ApiKeyImport", "ApiKey"),
    Operation("GET", "admin/secret-provider", "adminListSecretProviders", ADMINISTRATOR, "secrets:providers",
              "List where secrets are kept", response="ListProviderInfo"),
    Operation("POST", "admin/secret-provider", "createSecretProvider", ADMINISTRATOR, "refused:refuse",
              "Keep secrets elsewhere", "SecretProviderRequest", "ProviderInfo"),
    Operation("GET", "admin/secret-provider/{providerId}", "getSecretProvider", ADMINISTRATOR, "secrets:provider",
              "Show where secrets are kept", response="ProviderInfo"),
    Operation("POST", "admin/secret-provider/{providerId}", "updateProvider", ADMINISTRATOR, "secrets:refuse_provider",
              "Change where secrets are kept", "SecretProviderRequest", "ProviderInfo"),
    Operation("DELETE", "admin/secret-provider/{providerId}", "deleteProvider", ADMINISTRATOR,
              "secrets:refuse_provider", "Keep secrets there no more", status=204),
    Operation("GET", "admin/plugins/secret-provider/{providerId}", "checkSecretProviderForJar", ADMINISTRATOR,
              "refused:refuse", "Show whether a provider of secrets is installed"),
    Operation("POST", "admin/plugins/secret-provider/{providerId}", "uploadJarForSecretProvider", ADMINISTRATOR,
              "refused:refuse", "Install a provider of secrets"),
    Operation("POST", "admin/plugins/secret-provider/{providerId}/default", "setDefaultSecretProvider", ADMINISTRATOR,
              "secrets:set_default_provider", "Keep new secrets there", status=204),
    Operation("GET", "admin/insights-connection", "getConnection", ADMINISTRATOR, "insights:show_connection",
              "Show where insights are sent", response="ConnectionConfiguration"),
    Operation("POST", "admin/insights-connection", "updateConnection", ADMINISTRATOR, "insights:connect",
              "Send insights to an address", "ConnectionConfigurationRequest", "ConnectionConfiguration"),
    Operation("DELETE", "admin/insights-connection", "deleteAllConnections", ADMINISTRATOR, "insights:disconnect",
              "Send insights nowhere", status=204),
    Operation("PUT", "admin/organization_host_information", "update", ADMINISTRATOR, "refused:refuse",
              "Change as whom an organization works on hosts", "HostInformation", "Text"),
    Operation("GET", "admin/organization_host_information/{orgName}", "getByOrgName", ADMINISTRATOR, "refused:refuse",
              "Show as whom an organization works on hosts", response="HostInformation"),
    Operation("POST", "admin/organization_host_information/{orgName}", "createOrganizationHostInformation",
              ADMINISTRATOR, "refused:refuse", "Say as whom an organization works on hosts",
              "HostInformationCreation", "Text"),
    Operation("DELETE", "admin/organization_host_information/{orgName}", "delete", ADMINISTRATOR, "refused:refuse",
              "Forget as whom an organization works on hosts", response="Text"),
    Operation("POST", "admin/scms", "createScm", ADMINISTRATOR, "scms:create", "Add a source host",
              "ScmCreation", "Scm", 201),
    Operation("PATCH", "admin/scms/{scmId}", "updateScm", ADMINISTRATOR, "scms:update", "Change a source host",
              "ScmUpdate", "Scm"),
    Operation("DELETE", "admin/scms/{scmId}", "deleteScm", ADMINISTRATOR, "scms:delete", "Remove a source host",
              status=204),
    Operation("POST", "admin/scms/{scmId}/default", "setDefaultScm", ADMINISTRATOR, "scms:set_default",
              "Make a source host the default", status=204),
    Operation("POST", "registries", "createRegistry", ADMINISTRATOR, "refused:refuse", "Add a registry of images",
              "RegistryCreate", "Registry"),
    Operation("GET", "registries", "get", ANY_KEY, "refused:registries", "List the registries of images",
              response="Registries"),
    Operation("PUT", "registries/{registryId}", "updateRegistry", ADMINISTRATOR, "refused:refuse",
              "Change a registry of images", "RegistryCreate", "Registry"),
    Operation("DELETE", "registries/{registryId}", "deleteRegistry", ADMINISTRATOR, "refused:refuse",
              "Remove a registry of images"),

    # What the platform looks like
    Operation("GET", "config/frontend", "getFrontendConfigEntries", PUBLIC, "configuration:index",
              "List what a front end is configured with", response="PagedConfigurationList", query="limit marker"),
    Operation("GET", "config/frontend/{keyname}", "getConfigEntry", PUBLIC, "configuration:show",
              "Show a value of the configuration", response="FrontendConfigurationEntry"),
    Operation("PUT", "config/frontend/{keyname}", "updateConfigEntry", ADMINISTRATOR, "configuration:put",
              "Set a value of the configuration", "FrontendConfigurationEntryUpdate", "FrontendConfigurationEntry"),
    Operation("DELETE", "config/frontend/{keyname}", "deleteConfigEntry", ADMINISTRATOR, "configuration:delete",
              "Remove a value of the configuration", status=204),
    Operation("GET", "config/favicon", "getFavicon", PUBLIC, "images:show", "Show the icon", response="Image"),
    Operation("POST", "config/favicon", "updateFavicon", ADMINISTRATOR, "images:upload", "Set the icon",
              "Image", status=201),
    Operation("DELETE", "config/favicon", "deleteFavicon", ADMINISTRATOR, "images:delete", "Go back to the first icon",
              status=204),
    Operation("GET", "config/logo", "getLogo", PUBLIC, "images:show", "Show the logo", response="Image"),
    Operation("POST", "config/logo", "updateLogo", ADMINISTRATOR, "images:upload", "Set the logo", "Image", status=201),
    Operation("DELETE", "config/logo", "deleteLogo", ADMINISTRATOR, "images:delete", "Go back to the first logo",
              status=204),

    # The API itself
    Operation("GET", "openapi.json|openapispec", "getOpenApi", PUBLIC, "openapi:show",
              "This API as an OpenAPI document", response="OpenApi"),
)
# fmt: on
