"""Fabric ports through a real library in a child: from the stub's lines to snapshots and labels."""

import os
import signal
from pathlib import Path

import pytest

from level_zero import BDF, Scenario, after
from processes import children_of
from sidecars.xelink.program import sidecar
from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_shared.telemetry.kinds import Group, Mode
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, DeviceState, GroupStatus, ResultError
from xpu_shared.telemetry.topology import TopologyState
from xpu_sidecars.level_zero.device import SampledDevice
from xpu_sidecars.level_zero.reports import Report
from xpu_sidecars.xelink.native import Devices, Rules
from xpu_sidecars.xelink.reading import SourceError
from xpu_simulator.level_zero.lines import line
from xpum_pages import address, both, serving

ZERO, ONE, TWO = "0000:29:00.0", "0000:3a:00.0", "0000:9a:00.0"
RATE = 53_000_000_000
EMPTY = "gpu.intel.com/xe-links="


def port(id_: str, remote: str | None, tile: int | None = None, **more: object) -> str:
    return line("fabric", id=id_, remote=remote, subdevice=tile, max_rate=RATE, **more)


EXAMPLE = [
    line("driver"),
    line("device", bdf=ZERO, subdevices=2),
    port("4,0,1", "7,0,1", 0),
    port("4,0,2", "7,0,2", 0, max_tx=2),
    port("4,1,1", "7,1,1", 1),
    port("4,1,2", "9,0,1", 1),
    line("device", bdf=ONE, subdevices=2),
    port("7,0,1", "4,0,1", 0),
    port("7,0,2", "4,0,2", 0),
    port("7,1,1", "4,1,1", 1, status=2),
    port("7,1,2", None, 1, status=4, enabled=0),
    line("device", bdf=TWO),
    port("9,0,1", "4,1,2"),
]
TWO_GPUS = [
    line("driver"),
    line("device", bdf=ZERO),
    port("1,0,1", "2,0,1"),
    line("device", bdf=ONE),
    port("2,0,1", "1,0,1"),
]
LINK = "gpu.intel.com/xe-links=0.0-1.0"


def node(program_root: Path, *addresses: str) -> Path:
    """A sysfs with a card of Intel's for each address."""
    sysfs = program_root / "sys"
    for number, bdf in enumerate(addresses):
        card = sysfs / f"devices/pci0000:00/{bdf}/drm/card{number}"
        card.mkdir(parents=True)
        (card.parents[1] / "vendor").write_text("0x8086\n")
        (card / "device").symlink_to("../..")
        drm = sysfs / "class/drm"
        drm.mkdir(parents=True, exist_ok=True)
        (drm / f"card{number}").symlink_to(f"../../devices/pci0000:00/{bdf}/drm/card{number}")
    return sysfs


def flags(library: Scenario, sysfs: Path, source: str = "native") -> tuple[str, ...]:
    return (f"--source={source}", f"--library={library.library}", f"--sysfs-root={sysfs}")


def test_the_worked_example_through_a_library(library: Scenario, tmp_path: Path) -> None:
    library.says(*EXAMPLE)
    with sidecar(*flags(library, node(tmp_path, ZERO, ONE, TWO))) as program:
        found = program.until(lambda snapshot: snapshot.links)
        program.wait_for_labels("gpu.intel.com/xe-links=0.0-1.0_0.1-2.0")
        _, page = program.page("/metrics")
    assert (found.source, found.state) == ("native", TopologyState.OK)
    assert [(link.lanes, link.bits_per_second) for link in found.links] == [(6, RATE), (4, RATE)]
    assert [(device.card, device.index, device.tiles) for device in found.devices] == [(0, 0, 2), (1, 1, 2), (2, 2, 1)]
    assert len(found.ports) == 9
    assert f'gpu_xelink_port_status{{pci_bdf="{ONE}",port="7.1.1",subdevice_id="1"}} 1.0' in page
    assert f'gpu_xelink_port_status{{pci_bdf="{ONE}",port="7.1.2",subdevice_id="1"}} 3.0' in page
    assert "gpu_xelink_errors_total{" in page


def test_the_worked_example_with_degraded_ports(library: Scenario, tmp_path: Path) -> None:
    library.says(*EXAMPLE)
    with sidecar(*flags(library, node(tmp_path, ZERO, ONE, TWO)), "-accept-degraded") as program:
        program.wait_for_labels("gpu.intel.com/xe-links=0.0-1.0_0.1-1.1_0.1-2.0")


def test_labels_number_cards_or_the_library_s_devices(library: Scenario, tmp_path: Path) -> None:
    library.says(*TWO_GPUS)
    sysfs = node(tmp_path, "0000:00:02.0", ZERO, ONE)
    with sidecar(*flags(library, sysfs)) as program:
        program.wait_for_labels("gpu.intel.com/xe-links=1.0-2.0")
    with sidecar(*flags(library, sysfs), "-index=ze") as program:
        program.wait_for_labels(LINK)


def test_a_link_that_breaks_and_comes_back(library: Scenario, tmp_path: Path) -> None:
    library.says(*TWO_GPUS)
    with sidecar(*flags(library, node(tmp_path, ZERO, ONE))) as program:
        program.wait_for_labels(LINK)
        library.says(*TWO_GPUS[:2], port("1,0,1", None, status=3, failure=4), *TWO_GPUS[3:])
        broken = program.until(lambda snapshot: not snapshot.links and snapshot.ports)
        program.wait_for_labels(EMPTY)
        assert broken.state is TopologyState.NONE
        pair = f'pci_bdf="{ZERO}",remote_pci_bdf="{ONE}",remote_subdevice_id="0",subdevice_id="0"'
        assert f"gpu_xelink_link_up{{{pair}}} 0.0" in program.page("/metrics")[1]
        assert [port.status for port in broken.ports] == [PortStatus.FAILED, PortStatus.HEALTHY]
        assert [problem.text for problem in broken.problems] == ["leads to port 1.0.1, which does not lead back"]
        library.says(*TWO_GPUS)
        program.wait_for_labels(LINK)


@pytest.mark.parametrize("result", [{}, {"zesDeviceEnumFabricPorts": "0x78000003"}])
def test_no_ports_are_no_xelink(library: Scenario, tmp_path: Path, result: dict[str, str]) -> None:
    library.says(line("driver"), line("device", bdf=ZERO, **result))
    with sidecar(*flags(library, node(tmp_path, ZERO))) as program:
        assert program.until(lambda snapshot: snapshot.state is TopologyState.NONE).devices
        program.wait_for_labels(EMPTY)


def test_a_failure_keeps_the_last_links_for_a_while(library: Scenario, tmp_path: Path) -> None:
    library.says(*TWO_GPUS)
    with sidecar(*flags(library, node(tmp_path, ZERO, ONE)), "--keep-last=3s") as program:
        program.wait_for_labels(LINK)
        failing = [text.replace("fabric ", "fabric zesFabricPortGetState=0x7ffffffe ") for text in TWO_GPUS]
        library.says(*failing)
        kept = program.until(lambda snapshot: any("not read" in problem.text for problem in snapshot.problems))
        assert len(kept.links) == 1
        program.wait_for_labels(EMPTY)


def test_a_library_that_is_not_there_is_not_known(tmp_path: Path) -> None:
    with sidecar("--source=native", "--library=/no/such.so", "--keep-last=1s") as program:
        found = program.until(lambda snapshot: snapshot.reason and snapshot.labels)
        assert (found.state, found.labels) == (TopologyState.UNKNOWN, (EMPTY,))
        assert "/no/such.so" in found.reason


def test_a_child_that_crashes_is_started_again(library: Scenario, tmp_path: Path) -> None:
    library.says(*TWO_GPUS)
    with sidecar(*flags(library, node(tmp_path, ZERO, ONE)), "--keep-last=1h") as program:
        program.wait_for_labels(LINK)
        os.kill(children_of(program.process.pid)[0], signal.SIGKILL)
        program.until(lambda snapshot: snapshot.reason and snapshot.links)
        program.until(lambda snapshot: not snapshot.reason and snapshot.links)
        assert program.file_lines() == [LINK]


def test_auto_takes_fabric_ports_where_there_are_any(library: Scenario, tmp_path: Path) -> None:
    library.says(*TWO_GPUS)
    with serving() as xpum:
        xpum.show(*both("7.0", "8.0"))
        sysfs = node(tmp_path, ZERO, ONE)
        with sidecar(*flags(library, sysfs, "auto"), f"--xpum-url={xpum.url}") as program:
            assert program.until(lambda snapshot: snapshot.links).source == "native"
            program.wait_for_labels(LINK)
    assert xpum.requests == []


@pytest.mark.parametrize("there", [True, False])
def test_auto_asks_xpu_manager_where_there_is_no_port(library: Scenario, tmp_path: Path, there: bool) -> None:
    library.says(line("driver"), line("device", bdf=ZERO))
    name = str(library.library) if there else "/no/such.so"
    with serving() as xpum:
        xpum.show(*both("7.0", "8.0"))
        arguments = ("--source=auto", f"--library={name}", f"--sysfs-root={node(tmp_path, ZERO)}")
        with sidecar(*arguments, f"--xpum-url={xpum.url}") as program:
            found = program.until(lambda snapshot: snapshot.links)
            assert (found.source, found.devices[0].pci_address) == ("xpum-1.x", address(7))
            assert children_of(program.process.pid) == []  # the library's child is gone


def test_auto_without_either_says_what_the_library_says(library: Scenario, tmp_path: Path) -> None:
    library.says(line("driver"), line("device", bdf=ZERO))
    with serving() as xpum:
        url = xpum.url
    with sidecar(*flags(library, node(tmp_path, ZERO), "auto"), f"--xpum-url={url}") as program:
        assert program.until(lambda snapshot: snapshot.state is TopologyState.NONE).source == "native"
        program.wait_for_labels(EMPTY)


def sampled(library: Scenario, *components: str, **values: object) -> SampledDevice:
    library.says(line("driver"), line("device", bdf=BDF, **values), *components)
    opened = library.open()
    (handles,) = library.identities(opened).values()
    return SampledDevice(opened, handles, 1.0, (Group.FABRIC,))


def test_everything_a_port_tells(library: Scenario) -> None:
    device = sampled(
        library,
        port(
            "6,1,2", "4,0,1", 1, quality=1, failure=0, max_rx=4, max_tx=2, rx=100, tx=200, link_failures=3,
            fw_communication_errors=4, fw_errors=5, link_degradations=6,
        ),
    )  # fmt: skip
    assert after(device, 0.0).fabric_ports == (
        Port(
            place=End(BDF, 1),
            id=PortId(6, 1, 2),
            model="XeLink",
            status=PortStatus.HEALTHY,
            quality_issues=1,
            failure_reasons=0,
            remote=PortId(4, 0, 1),
            receive_lanes=4,
            transmit_lanes=2,
            receive_bits_per_second=RATE,
            transmit_bits_per_second=RATE,
            received_bytes=100,
            transmitted_bytes=200,
            link_failures=3,
            firmware_communication_errors=4,
            firmware_errors=5,
            link_degradations=6,
        ),
    )


def test_what_a_port_does_not_know_is_not_known(library: Scenario) -> None:
    (found,) = after(sampled(library, line("fabric", id="1,0,1", max_rx=-1, max_tx=-1, status=0)), 0.0).fabric_ports

    assert (found.status, found.remote, found.receive_lanes, found.receive_bits_per_second) == (
        PortStatus.UNKNOWN,
        None,
        None,
        None,
    )
    assert found.place == End(BDF, 0, True)


def test_old_loaders_have_no_error_counters(old_library: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZES_ENABLE_SYSMAN", "1")
    old_library.says(line("driver"), line("device", bdf=BDF), port("1,0,1", "2,0,1"))
    opened = old_library.open(Mode.LEGACY)
    (handles,) = old_library.identities(opened, Mode.LEGACY).values()
    reading = SampledDevice(opened, handles, 1.0, (Group.FABRIC,)).round(0.0)
    assert reading.fabric_ports[0].link_failures is None
    assert reading.groups[Group.FABRIC].last_error is None


def test_a_port_that_is_switched_off_is_disabled_whatever_its_state(library: Scenario) -> None:
    (found,) = after(sampled(library, port("1,0,1", "2,0,1", enabled=0)), 0.0).fabric_ports
    assert (found.status, found.remote) == (PortStatus.DISABLED, None)


def test_the_level_zero_sidecar_asks_no_port(library: Scenario) -> None:
    device = library.device(port("1,0,1", "2,0,1"))
    assert after(device, 0.0).fabric_ports == ()


A = Port(place=End(ZERO), id=PortId(1, 0, 1), remote=PortId(2, 0, 1), status=PortStatus.HEALTHY, receive_lanes=4)
B = Port(place=End(ONE), id=PortId(2, 0, 1), remote=PortId(1, 0, 1), status=PortStatus.HEALTHY, receive_lanes=4)
TROUBLE = ResultError(code=0x7FFFFFFE, text="unknown (0x7FFFFFFE)")


def device(bdf: str, *ports: Port, error: ResultError | None = None, lost: int = 0) -> DeviceReading:
    return DeviceReading(
        pci_address=bdf,
        fabric_ports=ports,
        state=DeviceState(lost_rounds=lost),
        groups={Group.FABRIC: GroupStatus(age=0.0, last_error=error)},
    )


def report(*devices: DeviceReading, hanging: tuple[str, ...] = ()) -> Report:
    return Report(snapshot=DeviceSnapshot(devices=devices), pci_addresses=(ZERO, ONE), hanging=hanging)


def test_a_device_that_was_never_read_means_that_nothing_is_known() -> None:
    devices = Devices(Rules())
    devices.take(report(device(ZERO, A)), 0.0)
    with pytest.raises(SourceError, match=f"{ONE}: its fabric ports are not known: not read yet"):
        devices.reading([], 0.0)
    devices.take(report(device(ONE, error=TROUBLE)), 0.0)
    with pytest.raises(SourceError, match="0x7FFFFFFE"):
        devices.reading([], 0.0)


def test_ports_of_a_device_in_trouble_count_for_a_while() -> None:
    devices = Devices(Rules(index="ze", keep_last=60.0))
    devices.take(report(device(ZERO, A), device(ONE, B)), 0.0)
    devices.take(report(device(ONE, error=TROUBLE)), 10.0)
    assert devices.reading([], 60.0).value == "0.0-1.0"
    assert devices.reading([], 60.1).value == ""
    devices.take(report(device(ONE, B)), 70.0)
    devices.take(report(device(ZERO, A), hanging=(ONE,)), 80.0)
    found = devices.reading([], 80.0)
    assert (found.value, [problem.subject for problem in found.problems]) == ("0.0-1.0", [ONE])


def test_a_device_that_is_lost_loses_its_ports_at_once() -> None:
    devices = Devices(Rules(index="ze"))
    devices.take(report(device(ZERO, A), device(ONE, B)), 0.0)
    devices.take(report(device(ZERO, A), device(ONE, B, lost=1)), 1.0)
    found = devices.reading([], 1.0)
    assert found.value == ""
    assert f"{ONE}: its fabric ports are not read: the device is lost" in [
        f"{problem.subject}: {problem.text}" for problem in found.problems
    ]


def test_devices_that_are_gone_are_forgotten() -> None:
    devices = Devices(Rules(index="ze"))
    devices.take(report(device(ZERO, A), device(ONE, B)), 0.0)
    devices.take(Report(snapshot=DeviceSnapshot(devices=(device(ZERO, A),)), pci_addresses=(ZERO,)), 1.0)
    assert [device.pci_address for device in devices.reading([], 1.0).devices] == [ZERO]
