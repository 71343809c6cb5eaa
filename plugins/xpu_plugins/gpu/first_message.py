"""The first list waits a moment for a first message, so that a bad GPU is not offered for the time until it comes."""

import threading
import time

PATIENCE = 0.25  # seconds from the start of listening


class FirstMessage:
    """Set on the event loop, waited for in the thread of a scan."""

    def __init__(self) -> None:
        self._listening_since: float | None = None
        self._arrived = threading.Event()

    def listening(self) -> None:
        if self._listening_since is None:
            self._listening_since = time.monotonic()

    def arrived(self) -> None:
        self._arrived.set()

    def wait(self) -> None:
        """Until it is there, or has been waited for long enough; at once when nobody listens."""
        if self._listening_since is not None:
            self._arrived.wait(max(0.0, self._listening_since + PATIENCE - time.monotonic()))
