"""Makes the pauses between tries short in the processes that the tests start; Python imports it when it starts."""

import random

SHARE = 0.05
"""Of the longest pause that there could be."""


def uniform(low: float, high: float) -> float:
    """Always the same number, near the lower end."""
    return low + (high - low) * SHARE


random.uniform = uniform
