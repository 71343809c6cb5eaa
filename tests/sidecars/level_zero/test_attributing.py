import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from churn import RESOURCE
from framework import DemoPlugin, running, unit
from sidecars.level_zero.program import directory
from xpu_shared.kubelet.holders import Holder
from xpu_sidecars.level_zero.attributing import Attributing, Held


@asynccontextmanager
async def attributing(root: Path, **timings: float) -> AsyncIterator[Attributing]:
    found = Attributing(root, on_change=lambda: None, period=0.05, **timings)
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - gRPC tells nobody
            await asyncio.sleep(0.02)


async def test_nothing_is_known_without_a_socket_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with directory() as root:
        async with attributing(root) as found:
            await asyncio.sleep(0.3)  # several looks
            assert found.held() == Held()
    assert [record.getMessage() for record in caplog.records] == [
        "no pods in metrics until the kubelet's socket is there"
    ]


async def test_a_kubelet_that_falls_silent_is_believed_for_a_while_and_found_when_it_is_back() -> None:
    plugin = DemoPlugin(devices={"i915": [unit("card0-0")]}, namespace="gpu.intel.com")
    with directory() as root:
        async with attributing(root, silence=1.0) as found, running(root, plugin) as node:
            await node.kubelet.wait_for_list(RESOURCE)
            await node.kubelet.admit("train", {RESOURCE: 1})
            await until(lambda: found.held().holders)
            assert found.held().holders == {(RESOURCE, "card0-0"): {Holder("default", "train", "main")}}
            known = found.held().known or 0.0
            assert abs(time.time() - known) < 1
            await node.kubelet.stop()
            stopped = time.time()
            assert found.held().holders  # its pods run on
            await until(lambda: not found.held().holders)
            assert 0.5 < time.time() - stopped < 5
            assert (found.held().known or 0.0) <= stopped + 0.5  # how long ago that was is told on
            await node.kubelet.start()
            await until(lambda: found.held().holders)
