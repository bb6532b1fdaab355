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
    """What a caller is to what the path names, each level with all that the ones before may do."""

    ANYONE = 0
    """No credential is needed, and none is looked at."""
    ACCOUNT = 1
    VIEWER = 2
    """May see it; to everybody else it does not exist (404)."""
    MEMBER = 3
    """Of the organization that owns it; of a person's things, the person."""
    OWNER = 4
    """The account itself, or an owner of the organization."""
    ADMINISTRATOR = 5


class Permission(Enum):
    """What a key must be allowed to do (API section 1.3)."""

    READ_DATA = "read data"
    WRITE_DATA = "write data"
    CALL = "call algorithms"
    CALL_FROM_PAGE = "call algorithms from web pages"
    MANAGE = "manage"
    """Algorithms, and all that belongs to the account: keys, connectors, organizations, secrets."""


class Access(NamedTuple):
    """Who may do something, and what their key must allow."""

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
    """The shape of the body, by its name in `shapes.py`."""
    response: str = ""
    """The shape of the answer."""
    status: int = 200
    """That of success."""
    query: str = ""
    """The names of query parameters, described in `shapes.py`."""


PUBLIC = Access(Who.ANYONE)
ANY_KEY = Access(Who.ACCOUNT)
READ = Access(Who.ACCOUNT, Permission.READ_DATA)
WRITE = Access(Who.ACCOUNT, Permission.WRITE_DATA)
CALL = Access(Who.VIEWER, Permission.CALL)
CALL_FROM_PAGE = Access(Who.VIEWER, Permission.CALL_FROM_PAGE)
VIEW = Access(Who.VIEWER)
MEMBER = Access(Who.MEMBER, Permission.MANAGE)

# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    # Calls (API section 3)
    Operation("POST", "algo/{reference*}", "callAlgorithm", CALL, "invoke:invoke",
              "Call an algorithm", "Input", "CallResult", query="timeout stdout output timing sudo"),
    Operation("POST", "web/algo/{reference*}", "callAlgorithmFromPage", CALL_FROM_PAGE, "invoke:invoke",
              "Call an algorithm from a web page", "Input", "CallResult", query="timeout stdout output timing sudo"),
    Operation("OPTIONS", "web/algo/{reference*}", "preflightCall", PUBLIC, "invoke:preflight",
              "Tell a browser that pages may call algorithms", status=204),

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
    Operation("GET", "algorithms/{algorithm}", "getAlgorithm", VIEW, "algorithms:show",
              "Show an algorithm by its newest version", response="VersionResponse"),
    Operation("GET", "algorithms/{algorithm}/versions|version", "getAlgorithmVersions", VIEW, "algorithms:versions",
              "List the versions of an algorithm", response="PagedVersionsList",
              query="limit marker published callable"),
    Operation("GET", "algorithms/{algorithm}/versions|version/{algohash}", "getAlgorithmHashVersion", VIEW,
              "algorithms:version", "Show a version by the hash of its build", response="VersionResponse"),
    Operation("GET", "algorithms/{algorithm}/builds", "getAlgorithmBuilds", MEMBER, "algorithms:builds",
              "List the builds of an algorithm", response="PagedBuildsList", query="limit marker"),
    Operation("GET", "algorithms/{algorithm}/builds/{buildid}", "getAlgorithmBuildById", MEMBER, "algorithms:build",
              "Show a build", response="Build"),
    Operation("GET", "algorithms/{algorithm}/builds/{buildid}/logs", "getAlgorithmBuildLogs", MEMBER,
              "algorithms:build_logs", "Show what a build had to say", response="BuildLogs"),
    Operation("GET", "users/{username}/algorithms", "listAlgorithmsForUser", ANY_KEY, "algorithms:of_account",
              "List the algorithms of an account", response="AlgorithmListResult"),

    # Connectors (API section 4.9)
    Operation("GET", "users/{username}/connectors", "listConnectorsForUser", MEMBER, "connectors:index",
              "List the connectors of an account", response="PagedConnectorsList", query="limit marker"),
    Operation("POST", "users/{username}/connectors", "createConnectorForUserById", MEMBER, "connectors:create",
              "Connect a store", "Connector", "ConnectorResponse"),

    # The API itself
    Operation("GET", "openapi.json|openapispec", "getOpenApi", PUBLIC, "openapi:show",
              "This API as an OpenAPI document", response="OpenApi"),
)
# fmt: on
