"""How long five plugins take while a sixth one in their process misbehaves."""

import asyncio
from collections.abc import Sequence
from itertools import cycle

from bench.figures import Row, milliseconds
from misbehaving import GOOD, Node, node
from xpu_simulator.kubelet.events import Event, ListReceived


async def isolation(times: int) -> list[Row]:
    return [
        (f"hot-plug while another plugin {misdeed}", milliseconds(await _hot_plugs(misdeed, times)), target)
        for misdeed, target in (
            ("hangs", "p50 < 50 ms"),
            ("computes", "p50 < 50 ms"),
            ("overflows", "p50 < 50 ms"),  # as "floods", but its list does not keep the kubelet of this process busy
            ("rambles", "p50 < 50 ms"),
        )
    ]


async def _hot_plugs(misdeed: str, times: int) -> Sequence[float]:
    durations = []
    async with node(misdeed) as running:
        await running.all_list(1)
        again = asyncio.create_task(_again(running))
        for number, name in zip(range(times), cycle(GOOD), strict=False):
            durations.append(await _hot_plug(running, name, 2 + number // len(GOOD)))
        again.cancel()
    return durations


async def _hot_plug(running: Node, name: str, count: int) -> float:
    """From the event to the list with the new device."""
    lists: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, ListReceived) and event.resource.startswith(f"{name}."):
            lists.append(event.at)

    running.kubelet.events.subscribe(note)
    sent = asyncio.get_running_loop().time()
    running.add(name, f"number {count}")
    await running.lists(name, count)
    return max(0.0, lists[-1] - sent)


async def _again(running: Node) -> None:
    """Whenever it has rested, the bad plugin has a reason to scan."""
    while True:
        running.tell("bad")
        await asyncio.sleep(0.2)
