"""Where labels go: a feature file, or the own node's object. A sink blocks; `labeller.py` has it work in threads."""

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from xpu_shared.allowance import Allowance
from xpu_shared.labels.feature_file import FeatureFile, FeatureFileError
from xpu_shared.labels.settings import NFD, NODE, LabelSettings

LIFETIME = timedelta(minutes=10)  # for which NFD may believe a file; it is written again at half of it
BURST, PAUSE = 10, 6.0  # writes of a file at once, and seconds for each further one: a flapping value costs no more


class SinkError(Exception):
    """Labels cannot be written now; the text says where and why. They are tried again later."""


class NoSinkError(Exception):
    """A sink that was asked for cannot be had on this node. The text names the flag."""


class Sink(Protocol):
    name: str

    def update(self, labels: Mapping[str, str]) -> bool:
        """Have the labels there; returns whether something had to be written. SinkError."""

    def remove(self) -> None:
        """Take the labels away. SinkError."""


class FileSink:
    """A feature file of NFD's."""

    name = NFD

    def __init__(self, path: Path, *, pause: float = PAUSE) -> None:
        self._file = FeatureFile(path, lifetime=LIFETIME)
        self._allowance = Allowance(burst=BURST, pause=pause)
        self._file.remove_leftovers()

    def update(self, labels: Mapping[str, str]) -> bool:
        if self._allowance.wait(time.monotonic()) > 0:
            return False
        try:
            written = self._file.update(labels, now=datetime.fromtimestamp(time.time(), UTC))
        except FeatureFileError as error:
            raise SinkError(str(error)) from error
        if written:
            self._allowance.take(time.monotonic())
        return written

    def remove(self) -> None:
        try:
            self._file.remove()
        except FeatureFileError as error:
            raise SinkError(str(error)) from error


def open_sinks(
    settings: LabelSettings,
    *,
    file: Path,
    is_own: Callable[[str], bool],
    pause: float = PAUSE,
    environment: Mapping[str, str] = os.environ,
) -> list[Sink]:
    """The sinks that were chosen.

    Args:
        file: the feature file.
        is_own: whether a label's key, with its namespace, is this program's.
        pause: seconds for each further write of the file after the first ones.
    Raises:
        NoSinkError: there is no node or API server to write to.
    """
    sinks: list[Sink] = []
    for sink in settings.label_sinks:
        if sink == NFD:
            sinks.append(FileSink(file, pause=pause))
        elif sink == NODE:
            from xpu_shared.labels.node_sink import NodeSink  # noqa: PLC0415 - TLS, 4 MiB that only this sink needs

            sinks.append(NodeSink.of_this_pod(is_own, environment))
    return sinks
