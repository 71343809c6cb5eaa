"""Measures a plugin's hardware whenever a metrics page is made. A read that hangs costs that plugin's series only."""

import threading
from collections.abc import Sequence

from xpu_shared.measurement import Gauge
from xpu_shared.plugin import Measures
from xpu_shared.program.logs import Log

PATIENCE = 0.5  # seconds that a page waits for the hardware

log = Log("measuring")


class Measuring:
    """Asked from the page's thread, one page at a time; measures in a daemon thread."""

    def __init__(self, plugin: Measures, name: str) -> None:
        self._plugin = plugin
        self._name = name
        self._thread: threading.Thread | None = None
        self._measured: Sequence[Gauge] = ()
        self._trouble = ""

    def gauges(self) -> Sequence[Gauge]:
        """What is measured now; nothing while the hardware does not answer."""
        patience = PATIENCE
        if self._thread is not None and self._thread.is_alive():
            patience = 0.0  # it has been waited for once
        else:
            self._thread = threading.Thread(target=self._measure, name=f"measure {self._name}", daemon=True)
            self._thread.start()
        self._thread.join(patience)
        if self._thread.is_alive():
            self._note(f"no answer within {PATIENCE:g} s")
            return ()
        return self._measured

    def _measure(self) -> None:
        self._measured = ()
        try:
            self._measured = self._plugin.measure()
        except Exception as error:  # noqa: BLE001 - a plugin's mistake costs its own series
            self._note(str(error) if isinstance(error, OSError) else repr(error))
        else:
            self._trouble = ""

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("cannot measure", plugin=self._name, reason=trouble)
