"""The page of a running plugin, over HTTP."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from framework import RESOURCE, DemoPlugin, Node, running, unit
from web_pages import fetch, free_port
from xpu_shared.device import Health
from xpu_shared.program.options import ListenAddress


@pytest.fixture
def port() -> int:
    return free_port()


async def page(node: Node, port: int) -> str:
    await node.kubelet.wait_for_list(RESOURCE)
    status, text = await fetch(port, "/metrics")
    assert status == 200
    return text


async def test_the_page_tells_what_the_framework_does(tmp_path: Path, port: int) -> None:
    plugin = DemoPlugin(devices={"unit": [unit("a"), unit("b"), unit("c", health=Health.UNHEALTHY)]})
    async with running(tmp_path, plugin, metrics_address=ListenAddress("127.0.0.1", port)) as node:
        await node.kubelet.wait_for_list(RESOURCE)
        await node.kubelet.admit("pod", {RESOURCE: 1})
        text = await page(node, port)

    for line in (
        f'xpu_devices{{health="Healthy",resource="{RESOURCE}"}} 2.0',
        f'xpu_devices{{health="Unhealthy",resource="{RESOURCE}"}} 1.0',
        f'xpu_lists_sent_total{{resource="{RESOURCE}"}} 1.0',
        f'xpu_registrations_total{{cause="start",resource="{RESOURCE}"}} 1.0',
        f'xpu_registered{{resource="{RESOURCE}"}} 1.0',
        f'xpu_calls_total{{code="OK",method="Allocate",resource="{RESOURCE}"}} 1.0',
        f'xpu_call_duration_seconds_count{{method="Allocate",resource="{RESOURCE}"}} 1.0',
        'xpu_scan_errors_total{plugin="demo.intel.com"} 0.0',
        'xpu_build_info{program="test",',
        'xpu_scan_duration_seconds_count{plugin="demo.intel.com"}',
        'xpu_scan_last_success_timestamp_seconds{plugin="demo.intel.com"}',
    ):
        assert line in text, f"{line} is missing"


async def test_the_page_says_how_each_device_is_and_why(tmp_path: Path, port: int) -> None:
    ill = replace(unit("b", health=Health.UNHEALTHY), conditions=("fever", "unknown"))
    plugin = DemoPlugin(devices={"unit": [unit("a"), ill, replace(unit("c"), conditions=("unknown",)), unit("d")]})
    async with running(tmp_path, plugin, metrics_address=ListenAddress("127.0.0.1", port)) as node:
        await node.kubelet.wait_for_list(RESOURCE)
        plugin.devices = {"unit": plugin.devices["unit"][:3]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)
        text = await page(node, port)

    for device, reason, value in (
        *(("a", "", 1), ("b", "fever", 0), ("b", "unknown", 0), ("c", "unknown", 1), ("d", "gone", 0)),
    ):
        assert f'xpu_device_health{{device="{device}",reason="{reason}",resource="{RESOURCE}"}} {value}.0' in text
    assert text.count("xpu_device_health{") == 5


async def test_ready_means_registered_and_listened_to(tmp_path: Path, port: int) -> None:
    address = ListenAddress("127.0.0.1", port)
    async with running(tmp_path, DemoPlugin(), metrics_address=address, start_kubelet=False) as node:
        await asyncio.to_thread(connectable, port)
        status, text = await fetch(port, "/readyz")
        assert status == 503
        assert "demo.intel.com" in text
        assert await fetch(port, "/healthz") == (200, "ok\n")

        await node.kubelet.start()
        await node.kubelet.wait_for_list(RESOURCE)
        assert await fetch(port, "/readyz") == (200, "ok\n")

        await node.kubelet.stop()
        await asyncio.wait_for(until_not_ready(port), 10)


async def until_not_ready(port: int) -> None:
    while (await fetch(port, "/readyz"))[0] != 503:
        pass


def connectable(port: int) -> None:
    import socket
    import time

    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise TimeoutError
