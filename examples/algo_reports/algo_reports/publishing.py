"""`algo reports publish`: a report as a file, through an algorithm and to where others read it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from algo_core import App, CopySummary
from algo_core.errors import NotFoundError, UsageError
from algo_core.storage.uri import parse_data_uri
from algo_reports.usage import Usage


def exists(app: App, destination: str) -> bool:
    """Whether there is something at a path or a data URI.

    Raises:
        UsageError: if it is a directory.
        AlgoError: if that cannot be found out.
    """
    uri = parse_data_uri(destination)
    try:
        is_directory = app.storage(uri).stat(uri).is_directory
    except NotFoundError:
        return False
    if is_directory:
        raise UsageError(f"{destination} is a directory", "Name the file that the report is to become")
    return True


def rendered(app: App, rows: Iterable[Usage], algorithm: str | None) -> bytes:
    """A report as JSON, or what an algorithm makes of that.

    Raises:
        AlgorithmFailed: if the algorithm fails; other failures of the call are of the other kinds of AlgoError.
    """
    report = [{"directory": str(row.directory), "files": row.files, "bytes": row.bytes} for row in rows]
    if algorithm is None:
        return json.dumps(report, indent=2).encode() + b"\n"
    result = app.run_algorithm(algorithm, report)
    for alert in result.alerts:
        app.output.warn(alert)
    if result.kind == "binary":
        return bytes(result.value)
    if result.kind == "text":
        return str(result.value).encode()
    return json.dumps(result.value, indent=2).encode() + b"\n"


def publish(app: App, content: bytes, destination: str) -> CopySummary:
    """Copy a report to a path or a data URI, whole or not at all.

    Raises:
        AlgoError: NotFoundError and its kin, if it cannot be copied.
    """
    with tempfile.TemporaryDirectory(prefix="algo-reports-") as folder:
        file = Path(folder, "report")
        file.write_bytes(content)
        return app.copy(file, destination)
