"""Six plugins in one process, one of which misbehaves: the others neither notice nor wait."""

import asyncio
import signal
import time

import pytest

from misbehaving import GOOD, MISDEEDS, node
from xpu_simulator.kubelet.events import Event, ListReceived


@pytest.mark.parametrize("misdeed", MISDEEDS)
async def test_what_one_plugin_does_leaves_the_others_untouched(misdeed: str) -> None:
    async with node(misdeed) as running:
        await running.all_list(1)
        undecided = asyncio.create_task(running.prefers()) if misdeed == "dithers" else None
        for count in (2, 3, 4):
            running.tell("bad")  # at the same time it is at it again
            for name in GOOD:
                running.add(name, f"number {count}")
            await running.all_list(count)
        assert set(running.kubelet.resources) - {f"{name}.intel.com/unit" for name in GOOD} <= {"bad.intel.com/unit"}

        assert undecided is None or not undecided.done()
        began = time.monotonic()
        running.child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.child.wait(), 10) == 0
        assert time.monotonic() - began < 5
        await asyncio.gather(*([undecided] if undecided else []), return_exceptions=True)


async def test_100000_devices_are_listed_and_others_are_listed_meanwhile() -> None:
    lists: list[ListReceived] = []

    def note(event: Event) -> None:
        if isinstance(event, ListReceived):
            lists.append(event)

    async with node("floods") as running:
        running.kubelet.events.subscribe(note)
        await running.lists("bad", 100_000)
        await running.all_list(1)
        first = next(event for event in lists if event.resource == "bad.intel.com/unit")
        others = [event.at for event in lists if event.resource != "bad.intel.com/unit"]
        assert min(others) < first.at, "the others waited for the many devices"
