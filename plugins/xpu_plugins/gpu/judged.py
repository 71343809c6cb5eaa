"""The GPU plugin with a source besides sysfs: it judges health, and tells containers what only the source knows."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from xpu_plugins.gpu.card import DRIVERS
from xpu_plugins.gpu.environment import Facts, cards_of, environment, link_environment, updated
from xpu_plugins.gpu.first_message import FirstMessage
from xpu_plugins.gpu.judges import Judges, Look, Opinion
from xpu_plugins.gpu.plugin import GpuPlugin, addresses
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.device import Allocation, Device, ScanResult
from xpu_shared.plugin import Causes

if TYPE_CHECKING:
    from prometheus_client import Metric

    from xpu_plugins.gpu.sidecars import Sidecars
    from xpu_shared.telemetry.freshness import News, Received
    from xpu_shared.telemetry.topology import TopologySnapshot

MARGIN = 0.01  # seconds after which what runs out has surely run out


class JudgedGpuPlugin(GpuPlugin):
    def __init__(self, settings: GpuSettings) -> None:
        super().__init__(settings)
        self._judging = settings.health_management or settings.xpumd_endpoint is not None
        self._judges = Judges(dwell=settings.health_leave_dwell, unknown_is_bad=settings.health_stale == "unhealthy")
        self._addresses: Mapping[str, str] = {}  # on the PCI bus, by card; replaced by each scan
        self._facts: Mapping[str, Facts] = {}  # by address; replaced by each message
        self._first = FirstMessage()
        self._sidecars: Sidecars | None = None
        self._lock = threading.Lock()  # of the judges: scans' threads ask, the event loop tells
        self._loop: asyncio.AbstractEventLoop | None = None  # while it listens
        self._causes: Causes | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def scan(self) -> ScanResult:
        result = super().scan()
        self._addresses = addresses([device for type_ in DRIVERS for device in result.devices.get(type_, ())])
        if self._judging:
            self._first.wait()
        return result

    async def run_beside_scans(self, causes: Causes) -> None:
        self._causes, self._loop = causes, asyncio.get_running_loop()
        self._first.listening()
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._settings.xpumd_endpoint is not None:
                    tasks.create_task(self._listen_to_xpumd())
                if self._settings.endpoints or self._settings.fabric_endpoints:
                    tasks.create_task(self._listen_to_sidecars())
        finally:
            self._loop = None
            if self._expiry is not None:
                self._expiry.cancel()

    def judge(self, device_type: str, devices: Sequence[Device]) -> Sequence[Device]:
        """All ids of a card share its judgement; a monitoring resource is never judged."""
        if not self._judging or device_type not in DRIVERS:
            return devices
        hardware = {device.hardware for device in devices}
        with self._lock:
            now = time.monotonic()
            self._judges.expect(sorted(hardware - {""}), now)
            opinions = {address: self._judges.opinion(address or None, now) for address in hardware}
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._expire)
        return [judged(device, opinions[device.hardware]) for device in devices]

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        """Add what is known of the GPUs to the container's environment."""
        if not self._settings.inject_env or device_type not in DRIVERS:
            return allocation
        cards = cards_of(ids)
        gpus = [self._facts.get(self._addresses.get(card, ""), Facts()) for card in cards]
        links = self._fabric.links(cards, time.monotonic()) if self._fabric else None
        variables = {**environment(gpus), **link_environment(cards, self._addresses, links)}
        return replace(allocation, envs={**allocation.envs, **variables})

    def metrics(self) -> "Iterator[Metric]":
        return self._sidecars.metrics() if self._sidecars is not None else iter(())

    async def _listen_to_xpumd(self) -> None:
        from xpu_plugins.gpu.xpumd import Xpumd  # noqa: PLC0415 - gRPC's client, for this source alone

        settings = self._settings
        assert settings.xpumd_endpoint is not None
        source = Xpumd(settings.xpumd_endpoint, tolerated=settings.xpumd_tolerate, max_age=settings.xpumd_max_age)
        await source.run(lambda looks, facts: self._take("xpumd", looks, facts))

    async def _listen_to_sidecars(self) -> None:
        from xpu_plugins.gpu.readings import SidecarReader, facts, limits  # noqa: PLC0415 - as below
        from xpu_plugins.gpu.sidecars import Sidecars  # noqa: PLC0415 - with ZeroMQ, for this source alone

        readers: dict[str, SidecarReader] = {}

        def take(endpoint: str, message: "Received") -> None:
            reader = readers.setdefault(endpoint, SidecarReader(limits(self._settings)))
            snapshot, age = message.envelope.payload, max(0.0, time.monotonic() - message.made_at)
            looks = reader.looks(snapshot, age=age, validity=message.envelope.validity)
            self._take(endpoint, looks if self._settings.health_management else {}, facts(snapshot))

        self._sidecars = Sidecars(self._settings)
        await self._sidecars.run(take, self._take_topology)

    def _take_topology(self, news: "News[TopologySnapshot]") -> None:
        assert self._fabric is not None  # or nobody would listen
        first = not self._fabric.told
        self._fabric.take(news)
        if first and self._causes is not None:
            self._causes.judge()  # `discover` waits for it

    def _take(self, source: str, looks: Mapping[str, Look], facts: Mapping[str, Facts]) -> None:
        """What a message says."""
        self._facts = updated(self._facts, facts, present=set(self._addresses.values()))
        if self._judging:
            self._change(lambda now: self._judges.take(source, looks, now))
        self._first.arrived()

    def _expire(self) -> None:
        """Time has passed, or there are other cards."""
        self._change(self._judges.expire)

    def _change(self, change: Callable[[float], bool]) -> None:
        """Change what is known, tell the framework, and look again when the next GPU will count as unknown."""
        with self._lock:
            now = time.monotonic()
            changed, expiry = change(now), self._judges.next_expiry(now)
        if self._loop is None or self._causes is None:
            return
        if changed:
            self._causes.judge()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = None if expiry is None else self._loop.call_later(expiry - now + MARGIN, self._expire)


def judged(device: Device, opinion: Opinion) -> Device:
    if not opinion.conditions:
        return device
    return replace(device, health=opinion.health, reason=opinion.text, conditions=opinion.conditions)
