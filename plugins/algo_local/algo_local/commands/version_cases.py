"""`algo algorithms test`: a version or build on any platform, called on the recorded cases of a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from algo_core import App, pass_app
from algo_core.errors import AlgorithmFailed, NotFoundError
from algo_local.commands.trial import run_cases, tell_and_judge

if TYPE_CHECKING:
    from algo_local.execution.payload import Outcome


@click.command("test")
@click.argument("algorithm", metavar="OWNER/NAME[/VERSION]")
@click.argument("directory", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@pass_app
def test_version(app: App, algorithm: str, directory: Path) -> None:
    """Call a version, or a build by its hash, on recorded cases.

    The cases are those of TEST_CASES.json in DIRECTORY, the current one by
    default, and the sample input of its algorithmia.conf. Exit code 1 if any
    fails. 'algo local test' runs them on a directory as it stands.

    \b
    Examples:
      algo algorithms test me/Greeter/1.0.0 ./greeter
      algo algorithms test me/Greeter/$(git rev-parse HEAD)
    """
    from algo_local.cases import LIKE, NAME, cases_of

    cases = cases_of(directory)
    if not cases:
        raise NotFoundError(f"{directory} has no {NAME}", f"Write cases such as [{LIKE}]")
    tell_and_judge(app, cases, run_cases(app, cases, lambda given: _outcome(app, algorithm, given)))


def _outcome(app: App, algorithm: str, given: Any) -> Outcome:
    """The outcome of a call; errors of the platform or the network end the test."""
    from algo_local.execution.payload import Failure, Outcome, Payload

    try:
        result = app.run_algorithm(algorithm, given)
    except AlgorithmFailed as error:
        return Outcome(None, Failure(error.message), 0.0, "")
    return Outcome(Payload("binary" if result.kind == "binary" else "json", result.value), None, 0.0, "")
