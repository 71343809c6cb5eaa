"""Plugins with a source of their own: devices that change between scans, and a look at them without a kubelet."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest

from framework import RESOURCE, DemoPlugin, running, unit
from xpu_shared.device import Device, Health, ScanResult
from xpu_shared.health import UNKNOWN
from xpu_shared.looking import look_once
from xpu_shared.plugin import Causes
from xpu_simulator.kubelet.resources import Resource
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub


@dataclass
class Judged(DemoPlugin):
    """Its source says which of its units are ill, from `speak` on."""

    ill: set[str] = field(default_factory=set)
    heard: bool = False
    started: int = 0
    failures: int = 0  # that its source has before it works
    causes: Causes | None = None
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_beside_scans(self, causes: Causes) -> None:
        self.started += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the source failed")
        self.causes = causes
        self.seen.set()
        await self.speaks.wait()
        self.heard = True
        causes.judge()
        await asyncio.Event().wait()

    def judge(self, device_type: str, devices: Sequence[Device]) -> Sequence[Device]:
        return [self.judged(device) for device in devices]

    def judged(self, device: Device) -> Device:
        if not self.heard:
            return replace(device, reason="nobody spoke", conditions=(UNKNOWN,))
        if device.id in self.ill:
            return replace(device, health=Health.UNHEALTHY, reason="it has a fever", conditions=("fever",))
        return device


def healthy(count: int) -> Callable[[Resource], bool]:
    return lambda listed: (listed.allocatable, listed.capacity) == (count, 2)


async def test_a_device_changes_its_state_without_a_scan(tmp_path: Path) -> None:
    plugin = Judged(ill={"unit1"})
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))
        scans = plugin.scans

        plugin.speaks.set()
        await node.kubelet.wait_for_list(RESOURCE, healthy(1))
        assert plugin.scans == scans

        plugin.ill.clear()
        assert plugin.causes is not None
        plugin.causes.judge()
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))


async def test_what_changes_nothing_for_the_kubelet_is_not_sent(tmp_path: Path) -> None:
    plugin = Judged()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))
        assert plugin.causes is not None
        for plugin.heard in (True, False, True):
            plugin.causes.judge()
        plugin.ill.add("unit1")
        plugin.causes.judge()
        await node.kubelet.wait_for_list(RESOURCE, healthy(1))

        assert [len(event.healthy) for event in node.lists] == [2, 1]


async def test_an_allocation_of_an_ill_device_is_refused_with_its_reason(tmp_path: Path) -> None:
    plugin = Judged(ill={"unit1"}, heard=True)
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(1))
        path = node.kubelet.device_plugins / "demo.intel.com-unit.sock"
        request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=["unit1"])])
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="is unhealthy: it has a fever"):
                await DevicePluginStub(channel).Allocate(request)


async def test_each_scan_is_judged(tmp_path: Path) -> None:
    plugin = Judged(ill={"unit2"}, heard=True)
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))

        plugin.devices = {"unit": [unit("unit0"), unit("unit1"), unit("unit2")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (2, 3))


async def test_a_scan_that_hangs_does_not_hold_up_a_change_of_health(tmp_path: Path) -> None:
    hangs, release = threading.Event(), threading.Event()

    class Hanging(Judged):
        def scan(self) -> ScanResult:
            if self.scans:
                hangs.set()
                release.wait(20)
            return super().scan()

    plugin = Hanging(ill={"unit1"})
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))
        node.uevent()
        assert await asyncio.to_thread(hangs.wait, 10)

        plugin.speaks.set()
        await node.kubelet.wait_for_list(RESOURCE, healthy(1))
        release.set()


async def test_whatever_comes_together_the_last_word_is_the_source_s(tmp_path: Path) -> None:
    """Scans and judgements are worked out in threads beside each other."""
    plugin = Judged(heard=True)
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))
        assert plugin.causes is not None
        for number in range(60):
            plugin.devices = {"unit": [unit("unit0"), unit("unit1"), *([unit("unit2")] if number % 2 else [])]}
            plugin.causes.scan()
            plugin.ill = {"unit1"} if number % 3 else set()
            plugin.causes.judge()
            await asyncio.sleep(0)
        plugin.devices = {"unit": [unit("unit0"), unit("unit1"), unit("unit3")]}
        plugin.causes.scan()
        plugin.ill = {"unit0", "unit3"}
        plugin.causes.judge()

        await node.kubelet.wait_for_list(
            RESOURCE, lambda listed: listed.healthy == {"unit1"} and "unit3" in listed.devices
        )


async def test_a_source_may_cause_a_scan(tmp_path: Path) -> None:
    plugin = Judged()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))
        plugin.devices = {"unit": [unit("unit0")]}

        assert plugin.causes is not None
        plugin.causes.scan()
        await node.kubelet.wait_for_list(RESOURCE, healthy(1))


async def test_a_source_that_fails_is_started_again_and_costs_the_devices_nothing(tmp_path: Path) -> None:
    plugin = Judged(ill={"unit1"}, failures=1)
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, healthy(2))
        plugin.speaks.set()
        await node.kubelet.wait_for_list(RESOURCE, healthy(1))
        assert plugin.started == 2


class TestLookOnce:
    def test_a_plugin_without_a_source_is_scanned(self) -> None:
        assert [device.id for device in look_once(DemoPlugin(), patience=60).devices["unit"]] == ["unit0", "unit1"]

    def test_the_source_is_waited_for(self) -> None:
        plugin = Judged(ill={"unit0"})
        plugin.speaks.set()

        devices = look_once(plugin, patience=60).devices["unit"]
        assert [(device.health, device.conditions) for device in devices] == [
            ("Unhealthy", ("fever",)),
            ("Healthy", ()),
        ]

    def test_but_not_longer_than_it_has_patience(self) -> None:
        devices = look_once(Judged(), patience=0.05).devices["unit"]

        assert [(device.health, device.conditions) for device in devices] == [("Healthy", (UNKNOWN,))] * 2

    def test_a_source_that_fails_is_as_good_as_none(self) -> None:
        devices = look_once(Judged(failures=1), patience=0.05).devices["unit"]

        assert [device.conditions for device in devices] == [(UNKNOWN,)] * 2

    def test_devices_that_only_the_source_knows_are_scanned_when_it_speaks(self) -> None:
        class Blind(Judged):
            def scan(self) -> ScanResult:
                if not self.heard:
                    raise OSError("nobody spoke")
                return super().scan()

        blind = Blind()
        blind.speaks.set()
        assert len(look_once(blind, patience=60).devices["unit"]) == 2
        with pytest.raises(OSError, match="nobody spoke"):
            look_once(Blind(), patience=0.05)

    def test_a_scan_that_hangs_does_not_count_against_the_source(self) -> None:
        class Slow(Judged):
            def scan(self) -> ScanResult:
                time.sleep(0.1)
                return super().scan()

        slow = Slow(ill={"unit0"})
        slow.speaks.set()
        assert look_once(slow, patience=0.05).devices["unit"][0].health is Health.UNHEALTHY
