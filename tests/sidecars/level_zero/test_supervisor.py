"""Real children with a real library, on good days and on bad ones."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from level_zero import Scenario
from sidecars.level_zero.collecting import INTERVAL, QUICK, collecting, has_ended
from xpu_shared.telemetry.kinds import Mode, Verdict
from xpu_sidecars.level_zero.child import Child, environment
from xpu_simulator.level_zero.lines import line

FIRST, SECOND, THIRD = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0"


def gpus(*extra: str, **outcomes: object) -> list[str]:
    """Two devices, the second one with these outcomes of calls."""
    return [
        *extra,
        line("driver"),
        line("device", bdf=FIRST),
        line("temperature", celsius=50),
        line("device", bdf=SECOND, **outcomes),
        line("temperature", celsius=60),
    ]


async def test_devices_are_sampled_every_interval_and_told_together(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.until(lambda: len(collected.reports) >= 5)

    report = collected.reports[-1]
    assert report.pci_addresses == (FIRST, SECOND)
    assert report.snapshot.mode is Mode.SYSMAN
    assert report.snapshot.driver_versions == ("1.6.0",)
    assert {len(report.snapshot.devices) for report in collected.reports} == {2}
    assert (collected.troubles, collected.supervisor.starts) == ([], 1)


async def test_a_change_of_the_library_is_told_within_an_interval(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        library.says(*(text.replace("celsius=50", "celsius=112") for text in gpus()))
        changed = asyncio.get_running_loop().time()
        await collected.reading(FIRST, lambda device: device.temperatures[0].celsius == 112)
        assert asyncio.get_running_loop().time() - changed < INTERVAL + 0.5  # and what a busy machine takes


async def test_a_device_that_hangs_keeps_only_itself_from_being_sampled(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(SECOND)
        library.says(*gpus(zesDevicePciGetState="hang"))
        await collected.until(lambda: collected.reports[-1].hanging == (SECOND,))
        seen = len(collected.reports)
        await collected.until(lambda: len(collected.reports) >= seen + 5)

        late = collected.reports[seen:]
        assert {device.pci_address for report in late for device in report.snapshot.devices} == {FIRST}
        assert [(problem.subject, problem.text) for problem in late[-1].snapshot.problems] == [
            (SECOND, "does not answer zesDevicePciGetState")
        ]

        library.says(*gpus())  # the call comes back
        await collected.reading(SECOND)
        assert (collected.reports[-1].hanging, collected.supervisor.starts) == ((), 1)


async def test_a_device_that_hung_twice_is_left_alone_until_devices_are_enumerated_again(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(SECOND)
        for _ in range(2):
            library.says(*gpus(zesDeviceGetState="hang"))
            await collected.until(lambda: collected.reports[-1].hanging == (SECOND,))
            library.says(*gpus())
            await collected.reading(SECOND)  # that one call comes back
        await collected.until(lambda: collected.reports[-1].left_alone == (SECOND,))
        seen = len(collected.reports)
        await collected.until(lambda: len(collected.reports) >= seen + 5)
        assert {device.pci_address for report in collected.reports[seen:] for device in report.snapshot.devices} == {
            FIRST
        }

        collected.supervisor.enumerate_again()
        await collected.reading(SECOND)
        assert (collected.reports[-1].left_alone, collected.supervisor.starts) == ((), 2)
        assert collected.troubles == []


async def test_a_device_that_hangs_before_it_says_who_it_is_keeps_nobody_waiting(library: Scenario) -> None:
    library.says(*gpus(zesDevicePciGetProperties="hang"))
    async with collecting(library, timings=replace(QUICK, opening=10.0)) as collected:
        await collected.reading(FIRST)
        assert collected.reports[-1].pci_addresses == (FIRST,)
        assert [problem.text for problem in collected.reports[-1].snapshot.problems] == ["does not say who it is"]

        library.says(*gpus())
        await collected.reading(SECOND)
        assert collected.reports[-1].snapshot.problems == ()


async def test_a_device_without_an_address_is_a_problem_and_no_more(library: Scenario) -> None:
    library.says(*gpus(zesDevicePciGetProperties="0x70010000"))
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        (problem,) = collected.reports[-1].snapshot.problems
        assert problem.subject == "device 1"
        assert problem.text == "zesDevicePciGetProperties: insufficient permissions (0x70010000)"


@pytest.mark.parametrize("outcome", ["0x1", "0x70000007", "0x70000001", "0x7ffffffe"])  # it sleeps, or is in trouble
async def test_a_device_that_does_not_give_its_address_yet_is_asked_again(library: Scenario, outcome: str) -> None:
    library.says(*gpus(zesDevicePciGetProperties=outcome))
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        (problem,) = collected.reports[-1].snapshot.problems
        assert problem.text.startswith("zesDevicePciGetProperties: ")

        library.says(*gpus())
        await collected.reading(SECOND)
        assert (collected.reports[-1].snapshot.problems, collected.supervisor.starts) == ((), 1)


async def test_a_driver_that_crashes_costs_a_restart_of_the_child(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        first = collected.pid
        library.says(*gpus(line("library", zesDriverGet="crash", zesTemperatureGetState="crash")))
        await collected.trouble("was ended by SIGSEGV; starts again in 0.05 s")
        await collected.trouble("starts again in 0.1 s")  # it crashes again, and later each time
        await collected.trouble("starts again in 0.2 s")
        library.says(*gpus())
        await collected.reading(SECOND)
        assert collected.pid != first
        assert collected.supervisor.crashes >= 3
        assert collected.reports[-1].left_alone == ()


async def test_a_device_whose_calls_crash_the_driver_costs_only_itself(library: Scenario) -> None:
    library.says(*gpus(zesTemperatureGetState="crash"))
    async with collecting(library) as collected:
        await collected.until(lambda: collected.reports and collected.reports[-1].left_alone == (SECOND,))
        await collected.reading(FIRST)
        assert collected.supervisor.crashes == 2  # once with all at the same time, once one by one
        report = collected.reports[-1]
        assert report.pci_addresses == (FIRST, SECOND)
        assert [(problem.subject, problem.text[:19]) for problem in report.snapshot.problems] == [
            (SECOND, "crashes its driver;")
        ]

        library.says(*gpus())
        collected.supervisor.enumerate_again()
        await collected.reading(SECOND)
        assert collected.reports[-1].left_alone == ()


@pytest.mark.parametrize("call", ["zesDevicePciGetProperties", "zesDeviceGetProperties"])
async def test_a_device_that_crashes_the_driver_when_it_is_asked_who_it_is_costs_only_itself(
    library: Scenario, call: str
) -> None:
    library.says(*gpus(**{call: "crash"}))
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        assert collected.supervisor.crashes == 2  # once with all at the same time, once one by one
        report = collected.reports[-1]
        assert (report.pci_addresses, report.left_alone) == ((FIRST,), ("device 1",))
        assert [(problem.subject, problem.text[:19]) for problem in report.snapshot.problems] == [
            ("device 1", "crashes its driver;")
        ]

        library.says(*gpus())
        collected.supervisor.enumerate_again()
        await collected.reading(SECOND)
        assert collected.reports[-1].left_alone == ()


async def test_nobody_is_left_when_the_only_device_crashes_the_driver(library: Scenario) -> None:
    library.says(line("driver"), line("device", bdf=FIRST, zesDevicePciGetProperties="crash"))
    async with collecting(library) as collected:
        await collected.until(lambda: collected.reports and collected.reports[-1].left_alone == ("device 0",))
        assert collected.reports[-1].snapshot.unavailable == ""


@pytest.mark.parametrize("outcome", ["exit", "crash"])
async def test_a_driver_that_ends_the_process_is_found_out_like_one_that_crashes(
    library: Scenario, outcome: str
) -> None:
    library.says(*gpus(zesTemperatureGetState=outcome))
    async with collecting(library) as collected:
        await collected.until(lambda: collected.reports and collected.reports[-1].left_alone == (SECOND,))
        await collected.reading(FIRST)


async def test_a_child_that_is_killed_accuses_no_device(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        for _ in range(3):
            await collected.reading(SECOND)
            os.kill(collected.pid, signal.SIGKILL)
        await collected.reading(SECOND)
        assert collected.reports[-1].left_alone == ()


async def test_a_device_that_hangs_does_not_stop_the_search_for_a_culprit(library: Scenario) -> None:
    library.says(*gpus(zesTemperatureGetState="crash"))
    async with collecting(library) as collected:
        await collected.trouble("SIGSEGV")
        library.says(*gpus(zesDeviceGetState="hang"))
        await collected.until(lambda: collected.reports and collected.reports[-1].hanging == (SECOND,))
        await collected.reading(FIRST)
        assert collected.reports[-1].left_alone == ()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_child_that_is_killed_comes_back(library: Scenario, number: signal.Signals) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        os.kill(collected.pid, number)
        await collected.trouble(f"was ended by {number.name}")
        await collected.reading(FIRST)


async def test_a_child_that_hangs_as_a_whole_is_replaced(library: Scenario) -> None:
    library.says(*gpus(line("library", zesInit="hang")))
    async with collecting(library) as collected:
        await collected.trouble("the library does not answer; starts again")
        library.says(*gpus())
        await collected.reading(FIRST)
        assert collected.supervisor.abandoned == []


async def test_a_child_that_was_stopped_is_replaced(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        os.kill(collected.pid, signal.SIGSTOP)
        await collected.trouble("the library does not answer")
        await collected.reading(FIRST)


async def test_a_child_that_cannot_be_killed_is_not_waited_for(library: Scenario) -> None:
    def in_vain(_child: Child) -> None:
        """As for a process that is deep in the kernel."""

    library.says(*gpus())
    async with collecting(library, kill=in_vain) as collected:
        await collected.reading(FIRST)
        first = collected.pid
        os.kill(first, signal.SIGSTOP)
        await collected.trouble("the library does not answer")
        await collected.reading(FIRST)

        assert collected.pid != first
        assert [child.pid for child in collected.supervisor.abandoned] == [first]
        os.kill(first, signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("libze_no_such.so.1", "library libze_no_such.so.1 cannot be loaded: libze_no_such.so.1: cannot open shared"),
        ("libc.so.6", "the library has no zeInit, zeDriverGet, zeDeviceGet"),
        (__file__, "cannot be loaded"),
    ],
)
async def test_a_library_that_cannot_be_used_is_tried_again_and_again(name: str, reason: str) -> None:
    async with collecting(name) as collected:
        await collected.until(lambda: len(collected.troubles) >= 3)
        assert all(reason in text for text in collected.troubles)
        assert collected.supervisor.crashes == 0


async def test_a_driver_and_gpus_that_come_later_are_found(library: Scenario) -> None:
    async with collecting(library) as collected:
        await collected.trouble("no Level-Zero driver, or none for these GPUs")
        library.says(line("driver"))
        await collected.trouble("no GPU")
        library.says(*gpus())
        await collected.reading(SECOND)


async def test_gpus_that_come_cut_the_wait_short(library: Scenario) -> None:
    library.says(line("driver"))
    async with collecting(library, timings=replace(QUICK, retry=600.0)) as collected:
        await collected.trouble("no GPU")
        library.says(*gpus())
        collected.supervisor.enumerate_again()
        await collected.reading(FIRST)


async def test_a_new_enumeration_finds_what_came_and_forgets_what_went(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(SECOND)
        library.says(line("driver"), line("device", bdf=FIRST), line("device", bdf=THIRD))
        collected.supervisor.enumerate_again()
        await collected.reading(THIRD)
        assert collected.reports[-1].pci_addresses == (FIRST, THIRD)


async def test_enumerations_are_apart(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library, timings=replace(QUICK, apart=600.0)) as collected:
        await collected.reading(FIRST)
        collected.supervisor.enumerate_again()
        seen = len(collected.reports)
        await collected.until(lambda: len(collected.reports) >= seen + 5)
        assert collected.supervisor.starts == 1


@pytest.mark.parametrize("init", [None, "0x78000003"])
async def test_a_loader_or_driver_of_old_is_read_the_legacy_way(
    library: Scenario, old_library: Scenario, init: str | None
) -> None:
    chosen = old_library if init is None else library
    chosen.says(*gpus(line("library", zesInit=init)))
    async with collecting(chosen) as collected:
        found = await collected.reading(SECOND)

    assert found.temperatures[0].celsius == 60
    assert collected.reports[-1].snapshot.mode is Mode.LEGACY
    assert (collected.troubles, collected.supervisor.starts) == ([], 2)


async def test_wsl_lists_indices_and_follows_changes(library: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE")
    library.says(line("driver"), line("device", bdf=FIRST, vendor="0x10de"), line("device", bdf=SECOND))
    async with collecting(library, wsl=True) as collected:
        await collected.until(lambda: len(collected.reports) >= 2)
        wsl = collected.reports[-1].snapshot.wsl
        assert wsl is not None
        assert (wsl.indices, wsl.hierarchy) == ((1,), "COMPOSITE")
        assert collected.reports[-1].snapshot.mode is Mode.WSL


async def test_a_bad_day_of_everything(library: Scenario) -> None:
    """Crash, hang, no driver, kill, and a good end."""
    library.says(*gpus(zesDeviceGetState="crash"))
    async with collecting(library) as collected:
        await collected.trouble("SIGSEGV")
        library.says(*gpus(zesDeviceGetState="hang"))
        await collected.until(lambda: collected.reports and collected.reports[-1].hanging == (SECOND,))
        os.kill(collected.pid, signal.SIGKILL)
        library.says(line("driver"))
        await collected.trouble("no GPU")
        library.says(*gpus(reset=1))
        found = await collected.reading(SECOND)
        assert found.soc_ok.verdict is Verdict.FAILED


def test_the_child_dies_with_its_parent(library: Scenario) -> None:
    library.says(*gpus(zesDeviceGetState="hang"))
    script = """
        import sys
        from xpu_shared.telemetry.kinds import Mode
        from xpu_sidecars.level_zero.child import Child
        child = Child(sys.argv[1], Mode.SYSMAN, 0.1, 10.0)
        child._pipe.read(1)
        print(child.pid, flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(library.library)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin
    assert parent.stdout
    child = int(parent.stdout.readline())

    parent.kill()
    parent.communicate()

    assert has_ended(child)


def test_the_child_has_neither_zeromq_nor_a_web_server() -> None:
    heavy = ("zmq", "prometheus_client", "grpc", "asyncio", "pydantic", "logging", "yaml")
    script = f"import sys, xpu_sidecars.level_zero.collector; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_driver_finds_its_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZE_AFFINITY_MASK", "0")
    monkeypatch.setenv("ZES_ENABLE_SYSMAN", "1")

    assert "ZE_AFFINITY_MASK" not in environment(Mode.SYSMAN)
    assert "ZES_ENABLE_SYSMAN" not in environment(Mode.SYSMAN)
    assert environment(Mode.LEGACY)["ZES_ENABLE_SYSMAN"] == "1"
    assert environment(Mode.SYSMAN)["ZE_ENABLE_PCI_ID_DEVICE_ORDER"] == "1"
    assert "ZE_ENABLE_PCI_ID_DEVICE_ORDER" not in environment(Mode.WSL)  # containers count without it


async def test_descriptors_do_not_grow_with_children(library: Scenario) -> None:
    library.says(*gpus())
    async with collecting(library) as collected:
        await collected.reading(FIRST)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            os.kill(collected.pid, signal.SIGKILL)
            await collected.reading(FIRST)
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_sidecar_itself_does_without_what_its_child_needs() -> None:
    script = "import sys, xpu_sidecars.level_zero.sidecar, xpu_sidecars.level_zero.observation; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {f"xpu_sidecars.level_zero.{name}" for name in ("structures", "library", "rounds", "device", "groups")}
    assert heavy.isdisjoint(found.stdout.split())
