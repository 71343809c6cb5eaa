import asyncio
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.counters import ScanCounters
from xpu_shared.device import ScanResult
from xpu_shared.scanning import COALESCE, LATER_LOOKS, Scanner, Schedule

NOTHING = ScanResult(devices={})


def scanned(schedule: Schedule, start: float, end: float | None = None) -> None:
    schedule.started(start)
    schedule.ended(start if end is None else end)


def test_without_events_a_scan_is_due_after_the_interval() -> None:
    schedule = Schedule(interval=60)
    scanned(schedule, 100)

    assert schedule.due() == 160


def test_a_burst_of_events_is_one_reason_and_looked_at_again_later() -> None:
    schedule = Schedule(interval=60)
    scanned(schedule, 100)
    schedule.event(110)
    schedule.event(110.005)

    assert schedule.due() == 110 + COALESCE
    for delay in LATER_LOOKS:
        scanned(schedule, schedule.due())
        assert schedule.due() == pytest.approx(110.005 + delay)
    scanned(schedule, schedule.due())
    assert schedule.due() == pytest.approx(110.005 + LATER_LOOKS[-1] + 60)


def test_an_event_during_a_scan_is_a_reason_for_another_scan() -> None:
    schedule = Schedule(interval=60)
    schedule.started(100)
    schedule.event(100.001)
    schedule.ended(100.002)

    assert schedule.due() == pytest.approx(100.001 + COALESCE)


def test_something_else_to_look_at_comes_at_its_time() -> None:
    schedule = Schedule(interval=60)
    scanned(schedule, 100)

    assert schedule.due(also=130) == 130


@pytest.mark.parametrize(("ended", "due"), [(100.5, 101.0), (100.9, 101.8), (103, 104), (700, 701)])
def test_a_scan_that_took_long_is_followed_by_as_long_a_rest_up_to_a_second(ended: float, due: float) -> None:
    schedule = Schedule(interval=60)
    schedule.started(100)
    schedule.event(100.01)
    schedule.ended(ended)

    assert schedule.due() == pytest.approx(due)


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=20))
def test_every_event_is_followed_by_a_scan_in_time(gaps: list[float]) -> None:
    schedule = Schedule(interval=60)
    scanned(schedule, 0)
    now = 0.0
    for gap in gaps:
        now += gap
        while schedule.due() < now:
            scanned(schedule, schedule.due())
        schedule.event(now)
        assert schedule.due() <= now + COALESCE


async def test_a_result_is_published_and_an_event_causes_the_next_scan() -> None:
    results: asyncio.Queue[ScanResult] = asyncio.Queue()
    counters = ScanCounters()
    scanner = Scanner("test", lambda: NOTHING, interval=3600, counters=counters)
    task = asyncio.create_task(scanner.run(results.put_nowait))

    await asyncio.wait_for(results.get(), 5)
    scanner.event()
    await asyncio.wait_for(results.get(), 5)

    task.cancel()
    assert sum(counters.durations.counts) >= 2
    assert counters.last_success > 0


async def test_a_failing_scan_is_counted_and_the_next_one_runs() -> None:
    outcomes: Iterator[Exception | None] = iter([OSError(5, "Input/output error"), RuntimeError("bug"), None])
    results: asyncio.Queue[ScanResult] = asyncio.Queue()
    counters = ScanCounters()

    def scan() -> ScanResult:
        outcome = next(outcomes, None)
        loop.call_soon_threadsafe(scanner.event)
        if outcome is not None:
            raise outcome
        return NOTHING

    loop = asyncio.get_running_loop()
    scanner = Scanner("test", scan, interval=3600, counters=counters)
    task = asyncio.create_task(scanner.run(results.put_nowait))

    await asyncio.wait_for(results.get(), 5)

    task.cancel()
    assert counters.errors == 2


async def test_a_hanging_scan_does_not_hold_up_its_end() -> None:
    hanging, release = threading.Event(), threading.Event()

    def scan() -> ScanResult:
        hanging.set()
        release.wait(30)
        return NOTHING

    task = asyncio.create_task(Scanner("test", scan, interval=60, counters=ScanCounters()).run(lambda _: None))
    await asyncio.to_thread(hanging.wait, 5)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    release.set()


@pytest.mark.parametrize("turns", range(6))
async def test_an_event_and_the_end_at_once_is_the_end(turns: int) -> None:
    """However far the event has got in the loop when the end comes."""
    results: asyncio.Queue[ScanResult] = asyncio.Queue()
    scanner = Scanner("test", lambda: NOTHING, interval=3600, counters=ScanCounters())
    task = asyncio.create_task(scanner.run(results.put_nowait))
    await asyncio.wait_for(results.get(), 5)
    scanner.event()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()

    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()
