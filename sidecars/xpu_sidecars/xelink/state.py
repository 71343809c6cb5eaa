"""What the metrics page shows. Written on the event loop only, and as a whole; the page's thread reads."""

import time
from collections import Counter

from xpu_shared.telemetry.fabric import End
from xpu_shared.telemetry.topology import TopologySnapshot
from xpu_sidecars.xelink.reading import Reading, SourceError

STARTING = TopologySnapshot(reason="starting")


class State:
    def __init__(self) -> None:
        self.shown = STARTING  # as last published
        self.errors: Counter[str] = Counter()  # by reason, since the start
        self.last_success = 0.0  # Unix time of the newest good look; 0: none yet
        self.up = False  # the newest look was good
        self.pairs: frozenset[tuple[End, End]] = frozenset()  # tiles that were linked since the start

    def good(self, reading: Reading) -> None:
        self.errors.update(reading.errors)
        self.last_success = time.time()
        there = {device.pci_address for device in reading.devices}
        known = {pair for pair in self.pairs if {end.pci_address for end in pair} <= there}
        self.pairs = frozenset(known | {(link.a, link.b) for link in reading.links})
        self.up = True

    def failed(self, error: SourceError) -> None:
        self.errors[error.reason] += 1
        self.up = False
