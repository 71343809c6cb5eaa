"""What a plugin measures of its hardware, as values: the metrics page makes series of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A number for each of several things. What is not known has no sample; it is never 0."""

    name: str  # with its unit at the end, e.g. demo_temperature_celsius
    help: str
    labels: tuple[str, ...]
    samples: Sequence[tuple[tuple[str, ...], float]]  # the labels' values, and the number
