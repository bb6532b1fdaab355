"""Which operation a path leads to, in all the forms in which clients write it (API sections 3.1, 4.1)."""

from __future__ import annotations

import pytest

from algo_local.web import routing
from algo_local.web.http import ApiError
from algo_local.web.references import Reference

ID = "0057588b-b42c-4454-a391-87b90f854116"


@pytest.mark.parametrize(
    ("path", "method", "operation", "parameters"),
    [
        ("/v1/algorithms/alice/Algo", "GET", "getAlgorithm", {"algorithm": "alice/algo"}),
        ("//v1//algorithms//alice/Algo/", "GET", "getAlgorithm", {"algorithm": "alice/algo"}),
        ("/v1/algorithms/%61lice/Alg%6F", "GET", "getAlgorithm", {"algorithm": "alice/algo"}),
        ("/v1/%61lgorithms/alice/Algo", "GET", "getAlgorithm", {"algorithm": "alice/algo"}),
        (f"/v1/algorithms/{ID}", "GET", "getAlgorithm", {"algorithm": ID}),
        (f"/v1/algorithms/{ID.upper()}/builds", "GET", "getAlgorithmBuilds", {"algorithm": ID}),
        ("/v1/algorithms/a/builds/builds", "GET", "getAlgorithmBuilds", {"algorithm": "a/builds"}),
        ("/v1/algorithms/a/b/version", "GET", "getAlgorithmVersions", {"algorithm": "a/b"}),
        ("/v1/algorithms/a/b/versions/1.0.0", "HEAD", "getAlgorithmHashVersion", {"algohash": "1.0.0"}),
        ("/v1/algo/alice/Algo", "POST", "callAlgorithm", {"reference*": "alice/Algo"}),
        ("/v1/algo/algo://alice/Algo/1.0.0/", "POST", "callAlgorithm", {"reference*": "algo://alice/Algo/1.0.0/"}),
        ("/v1/algo//alice//Algo", "POST", "callAlgorithm", {"reference*": "alice//Algo"}),
        ("/v1//web//algo/alice/Algo", "POST", "callAlgorithmFromPage", {"reference*": "alice/Algo"}),
        ("/v1/data", "GET", "listRoot", {}),
        ("/v1/data//", "GET", "listRoot", {}),
        ("/v1/data", "POST", "createDataDirectory", {"path*": ""}),
        ("/v1/data/", "HEAD", "verifyData", {}),
        ("/v1/data/.my%2Fc%2Fa+b", "GET", "getData", {"path*": ".my%2Fc%2Fa+b"}),
        ("/v1/data/s3+label://bucket//k", "PUT", "uploadData", {"path*": "s3+label://bucket//k"}),
        ("/v1/connector/data/.my/c", "DELETE", "deleteFileOrDirectory", {"location*": "data/.my/c"}),
        ("/v1/openapispec", "GET", "getOpenApi", {}),
    ],
)
def test_a_path_leads_to_its_operation(path: str, method: str, operation: str, parameters: dict[str, str]) -> None:
    route = routing.find(path)
    assert route
    found = route.operation(method)
    assert found
    assert found.id == operation
    assert parameters.items() <= dict(route.parameters).items()


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v1/", "/v2/data", "/v1x/data", "/v1/datax", "/v1/algo", "/v1/web/algo", "/v1/web/algorithms/a/b",
     "/v1/algorithms/a/b/c", "/v1/algorithms/a/b/versions/x/y", "/v1/users/alice/nothing", "/data/x"],
)  # fmt: skip
def test_other_paths_lead_nowhere(path: str) -> None:
    assert routing.find(path) is None


def test_a_path_that_is_no_text_is_refused() -> None:
    for path in ("/v1/algorithms/%FF/x", "/v1/%FF", "/v1/algorithms/a/%00"):
        with pytest.raises(ApiError, match="path") as refused:
            routing.find(path)
        assert refused.value.status == 400


@pytest.mark.parametrize(
    ("raw", "names", "version"),
    [
        ("alice/Algo", ["alice", "algo"], ""),
        ("algo://alice/Algo/1.*", ["alice", "algo"], "1.*"),
        ("algo:/alice/Algo/", ["alice", "algo"], ""),
        ("algo%3A%2F%2Falice%2FAlgo", ["alice", "algo"], ""),
        (ID.upper(), [ID], ""),
        (f"{ID}/latest", [ID], "latest"),
        ("alice", [], ""),
        ("alice/Algo/1/2", [], ""),
        ("algo://", [], ""),
    ],
)
def test_references_in_all_forms(raw: str, names: list[str], version: str) -> None:
    reference = Reference(raw)
    assert (reference.names, reference.version) == (names, version)
