"""The labels: names, and which names are this program's."""

import re
from collections.abc import Callable

from xpu_shared.labels import values

NAME = "xe-links"


def labels(namespace: str, value: str) -> dict[str, str]:
    """The labels of a value, in order; UnsplittableError when so many links do not fit."""
    return values.labels(f"{namespace}/{NAME}", value)


def own(namespace: str) -> Callable[[str], bool]:
    """Whether a label's key is one of ours: `xe-links`, and `xe-links2` and so on."""
    pattern = re.compile(rf"{re.escape(namespace)}/{NAME}(?:[2-9]|[1-9][0-9]+)?")
    return lambda key: pattern.fullmatch(key) is not None
