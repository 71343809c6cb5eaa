"""`--watch`: as a process, with kernel events; and when to apply, as a function of values."""

import asyncio
import signal
import sys
from pathlib import Path

from layouts import BULK
from xpu_shared.provisioning.watch import COALESCE, PERIOD, REST, Schedule
from xpu_simulator.families.idxd.device import Dsa
from xpu_simulator.tree import SimulatedTree
from xpu_simulator.uevents import Uevent, UeventSender


def test_an_event_is_a_reason_and_a_minute_is_one() -> None:
    schedule = Schedule()
    schedule.finished(100.0, failed=False)
    assert schedule.due == 100.0 + PERIOD
    schedule.heard(110.0)
    schedule.heard(110.05)
    assert schedule.due == 110.0 + COALESCE


def test_an_event_during_a_run_is_a_reason_for_another() -> None:
    schedule = Schedule()
    schedule.started()
    schedule.heard(1.0)
    schedule.finished(2.0, failed=False)
    assert schedule.due == 1.0 + COALESCE


def test_what_may_be_the_echo_of_a_failed_run_waits_longer_each_time() -> None:
    schedule = Schedule()
    now = 0.0
    rests = []
    for _ in range(8):
        schedule.started()
        schedule.heard(now)
        schedule.finished(now, failed=True)
        schedule.heard(now + REST / 2)
        rests.append(schedule.due - now)
        now = schedule.due
    assert rests == [2.0, 4.0, 8.0, 16.0, 32.0, PERIOD, PERIOD, PERIOD]
    schedule.started()
    schedule.finished(now, failed=False)
    schedule.heard(now)
    assert schedule.due == now + COALESCE


def test_a_device_that_appears_in_the_shadow_of_a_failed_run_is_not_lost() -> None:
    schedule = Schedule()
    schedule.started()
    schedule.finished(2.0, failed=True)
    schedule.heard(2.0 + REST / 2)
    assert schedule.due == 2.0 + REST


def test_an_event_long_after_a_failed_run_is_no_echo() -> None:
    schedule = Schedule()
    schedule.started()
    schedule.heard(1.0)
    schedule.finished(2.0, failed=True)
    assert schedule.due == 2.0 + REST
    schedule.started()
    schedule.finished(5.0, failed=True)
    schedule.heard(5.0 + REST)
    assert schedule.due == 5.0 + REST + COALESCE


async def test_a_device_that_appears_is_noticed_and_sigterm_ends_with_0(tmp_path: Path) -> None:
    """A tree of plain files refuses nothing and does nothing: what is noticed is told as a failure."""
    tree = SimulatedTree(tmp_path, device_nodes=False)
    layout = tmp_path / "layout.json"
    layout.write_text(BULK)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "xpu_plugins.idxd_provision", "--watch", f"--config={layout}",
        f"--sysfs-root={tree.sysfs}", f"--dev-root={tree.dev}", f"--uevent-socket={tmp_path / 'uevents'}",
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stderr is not None

    async def says(text: str) -> None:
        assert child.stderr is not None
        while line := (await asyncio.wait_for(child.stderr.readline(), 20)).decode():
            if text in line:
                return
        raise AssertionError(f"the log ended without {text!r}")

    try:
        await says("watches")
        tree.add(Dsa(number=4, state="disabled", queues=[]))
        UeventSender(tmp_path / "uevents").send([Uevent(action="add", devpath="/devices/x/dsa4", subsystem="dsa")])
        await says("dsa4: bus/dsa/")
        child.send_signal(signal.SIGTERM)
        await says("stops")
        child.send_signal(signal.SIGTERM)  # a second one, when it is as good as gone
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 0
    assert not (tmp_path / "uevents").exists()
