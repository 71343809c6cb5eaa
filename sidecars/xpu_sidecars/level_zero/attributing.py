"""Asks the kubelet who holds which GPU, in the background. Nothing of gRPC is imported before its socket is there."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xpu_shared.kubelet.holders import Claims, Holders
from xpu_shared.program.logs import Log

if TYPE_CHECKING:
    from xpu_shared.kubelet.pod_resources import PodResources

PERIOD = 2.0  # seconds between questions, which cost the kubelet one of its 100 a second
SILENCE = 30.0  # seconds without an answer, after which nobody is said to hold anything

log = Log("attribution")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The kubelet's newest answer."""

    holders: Holders = field(default_factory=dict)
    claims: Claims = field(default_factory=dict)
    known: float | None = None  # Unix seconds; None: it has never answered


class Attributing:
    def __init__(
        self, kubelet_dir: Path, *, on_change: Callable[[], None], period: float = PERIOD, silence: float = SILENCE
    ) -> None:
        self._socket = kubelet_dir / "pod-resources/kubelet.sock"
        self._on_change = on_change
        self._period = period
        self._silence = silence
        self._pod_resources: PodResources | None = None

    def held(self) -> Held:
        """Who holds what; of an answer that is too old only its age is left. Called on the event loop."""
        resources = self._pod_resources
        if resources is None or not resources.last_success:
            return Held()
        age = asyncio.get_running_loop().time() - resources.last_success
        if age > self._silence:
            return Held(known=time.time() - age)
        return Held(holders=resources.holders, claims=resources.claims, known=time.time() - age)

    async def run(self) -> None:
        """Ask until cancelled."""
        await self._socket_is_there()
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what gRPC would print is in the errors that we log
        from xpu_shared.kubelet.pod_resources import PodResources  # noqa: PLC0415 - gRPC, 12 MiB

        self._pod_resources = PodResources(self._socket, period=self._period)
        self._pod_resources.listen(self._on_change)
        while True:
            try:
                await self._pod_resources.run()
            except Exception as error:  # noqa: BLE001 - the top of a loop: log and go on
                log.error("asking the kubelet failed unexpectedly", error=repr(error))
                await asyncio.sleep(self._period)

    async def _socket_is_there(self) -> None:
        said = False
        while not self._socket.exists():
            if not said:
                log.info("no pods in metrics until the kubelet's socket is there", socket=self._socket)
                said = True
            await asyncio.sleep(self._period)
