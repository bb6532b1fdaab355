"""Generated examples that are the same in every run, however slow the machine is."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def generated(count: int, *suppressed: HealthCheck) -> settings:
    """How tests take that many examples; `suppressed` is what else of hypothesis' own checks does not apply."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, *suppressed],
    )
