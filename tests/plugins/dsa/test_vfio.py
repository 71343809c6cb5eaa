"""DSA devices that are bound to vfio-pci, offered whole."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from programs import program
from scans import rejection, told
from xpu_plugins.dsa.settings import DsaSettings
from xpu_plugins.dsa.vfio import VfioPlugin
from xpu_shared.allocation import compose
from xpu_shared.device import Allocation, Device, Health, ScanResult
from xpu_shared.kernel.vfio import address_order, pci_addresses

RESOURCE = "dsa.intel.com/vfio"
E7, EA, AT_0001, EC = "0000:e7:01.0", "0000:ea:01.0", "0001:02:01.0", "0000:ec:02.0"


@dataclass(frozen=True)
class Bus:
    """A PCI bus with IOMMU groups, and files in /dev/vfio."""

    root: Path

    def function(
        self,
        address: str,
        *,
        device: str = "0x0b25",
        driver: str | None = "vfio-pci",
        group: str | None = "44",
        attributes: Mapping[str, str | None] | None = None,
        group_name: str | None = None,
        file: bool = True,
    ) -> Path:
        path = self.root / "sys/devices" / f"pci{address[:7]}" / address
        path.mkdir(parents=True)
        values: Mapping[str, str | None] = {
            "vendor": "0x8086",
            "device": device,
            "numa_node": "1",
            "local_cpulist": "56-111",
            **(attributes or {}),
        }
        for name, text in values.items():
            if text is not None:
                (path / name).write_text(f"{text}\n")
        bus = self.root / "sys/bus/pci"
        (bus / "devices").mkdir(parents=True, exist_ok=True)
        (bus / "devices" / address).symlink_to(path)
        if driver is not None:
            (path / "driver").symlink_to(bus / "drivers" / driver)
        if group is not None:
            members = self.root / "sys/kernel/iommu_groups" / group / "devices"
            members.mkdir(parents=True, exist_ok=True)
            (members / address).symlink_to(path)
            (path / "iommu_group").symlink_to(members.parent)
            if group_name is not None:
                (members.parent / "name").write_text(f"{group_name}\n")
            if file:
                self.file(f"noiommu-{group}" if group_name == "vfio-noiommu" else group)
        return path

    def file(self, name: str) -> None:
        vfio = self.root / "dev/vfio"
        vfio.mkdir(parents=True, exist_ok=True)
        (vfio / name).touch()

    def plugin(self, **choices: object) -> VfioPlugin:
        roots: Mapping[str, object] = {"sysfs_root": self.root / "sys", "dev_root": self.root / "dev"}
        return VfioPlugin(DsaSettings(**{**roots, **choices}))  # type: ignore[arg-type]  # tests name any of its fields

    def scan(self, **choices: object) -> ScanResult:
        return self.plugin(**choices).scan()


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return Bus(tmp_path)


def devices(result: ScanResult) -> list[Device]:
    return list(result.devices.get("vfio", ()))


def offered(result: ScanResult) -> list[str]:
    return [device.id for device in devices(result)]


@pytest.fixture
def example(bus: Bus) -> Bus:
    bus.function(E7)
    bus.function(EA, driver=None, group="45")
    bus.function(AT_0001, device="0x11fb", group="7")
    bus.function(EC, device="0x0cfe", group="46")
    return bus


def test_what_is_offered(example: Bus) -> None:
    result = example.scan()

    assert {type_: [device.id for device in found] for type_, found in result.devices.items()} == {
        "vfio": [E7, AT_0001]
    }
    (problem,) = result.problems
    assert (problem.subject, problem.text) == (EA, "it is bound to no driver; vfio-pci is needed")
    assert [device.numa_nodes for device in devices(result)] == [(1,), (1,)]


def test_what_a_container_is_given(example: Bus) -> None:
    plugin = example.plugin()
    found = {device.id: device for device in devices(plugin.scan())}
    asked = [AT_0001, E7]

    allocation = plugin.prepare("vfio", asked, compose(RESOURCE, [found[id_] for id_ in asked]))

    assert [node.container_path for node in allocation.nodes] == ["/dev/vfio/7", "/dev/vfio/vfio", "/dev/vfio/44"]
    assert {node.permissions for node in allocation.nodes} == {"rw"}
    assert list(allocation.envs.items()) == [("VFIO_BDF0", E7), ("VFIO_BDF1", AT_0001)]


def test_one_function_of_group_189(bus: Bus) -> None:
    bus.function("0000:f6:01.0", group="189")
    plugin = bus.plugin()
    (device,) = devices(plugin.scan())

    assert [(node.host_path, node.container_path, node.permissions) for node in device.nodes] == [
        ("/dev/vfio/189", "/dev/vfio/189", "rw"),
        ("/dev/vfio/vfio", "/dev/vfio/vfio", "rw"),
    ]
    assert device.envs == {}
    assert plugin.prepare("vfio", [device.id], Allocation()).envs == {"VFIO_BDF0": "0000:f6:01.0"}


def test_without_a_pci_bus_there_is_nothing(bus: Bus) -> None:
    (bus.root / "sys").mkdir()
    assert not bus.scan().devices

    (bus.root / "sys").rmdir()
    with pytest.raises(FileNotFoundError):
        bus.scan()


@pytest.mark.parametrize("device", ["0x0b25", "0x11fb", "0x1212"])
def test_all_kinds_of_dsa_are_offered(bus: Bus, device: str) -> None:
    bus.function(E7, device=device)
    assert offered(bus.scan()) == [E7]


@pytest.mark.parametrize(
    "attributes", [{"vendor": "0x1022"}, {"device": "0x0cfe"}, {"device": "0b25"}, {"vendor": "0x80860"}]
)
def test_other_functions_are_passed_over_silently(bus: Bus, attributes: Mapping[str, str]) -> None:
    bus.function(E7, attributes=attributes)
    result = bus.scan()
    assert (result.devices, result.problems) == ({}, ())


def test_a_function_in_the_hands_of_idxd_is_an_ordinary_sight(bus: Bus) -> None:
    bus.function(E7, driver="idxd", group=None)

    (problem,) = bus.scan().problems

    assert problem.expected
    assert problem.text == "its driver is 'idxd', not vfio-pci"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("device", "No such file or directory"),
        ("iommu_group", "it is in no IOMMU group; is the IOMMU switched on (intel_iommu=on)?"),
        ("driver", "it is bound to no driver; vfio-pci is needed"),
    ],
)
def test_what_is_missing_costs_its_function_only(bus: Bus, damage: str, text: str) -> None:
    (bus.function(EA, group="45") / damage).unlink()
    bus.function(E7)

    result = bus.scan()

    assert offered(result) == [E7]
    assert text in rejection(result, EA).text
    assert [subject for subject, _ in told(result)] == [EA]


def test_a_group_without_a_file_costs_its_function_only(bus: Bus) -> None:
    bus.function(EA, group="45", file=False)
    bus.function(E7)

    result = bus.scan()

    assert offered(result) == [E7]
    assert [text for _, text in told(result)] == [f"its file {bus.root}/dev/vfio/45 is missing"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_groups_file_that_is_none_is_not_handed_out(bus: Bus, make: object) -> None:
    bus.function(E7, file=False)
    (bus.root / "dev/vfio").mkdir(parents=True)
    make(bus.root / "dev/vfio/44")  # type: ignore[operator]

    result = bus.scan()

    assert not result.devices
    assert "no character device" in told(result)[0][1]


@pytest.mark.parametrize("group", ["x", "44x", "-1"])
def test_a_group_that_is_no_number_costs_its_function(bus: Bus, group: str) -> None:
    bus.function(E7, group=group)

    result = bus.scan()

    assert not result.devices
    assert "expected a link to a group's number" in told(result)[0][1]


@pytest.mark.parametrize("content", ["\x00", "x" * 5000])
def test_a_damaged_device_id_costs_its_function(bus: Bus, content: str) -> None:
    bus.function(EA, attributes={"device": content}, group="45")
    bus.function(E7)

    result = bus.scan()

    assert offered(result) == [E7]
    assert f"{EA}/device: expected" in told(result)[0][1]


def test_without_an_iommu_the_file_has_another_name(bus: Bus) -> None:
    bus.function(E7, group="0", group_name="vfio-noiommu")

    (device,) = devices(bus.scan())

    assert [node.container_path for node in device.nodes] == ["/dev/vfio/noiommu-0", "/dev/vfio/vfio"]
    assert device.numa_nodes == (1,)


def test_domains_may_have_more_digits(bus: Bus) -> None:
    for number, address in enumerate(("10000:01:00.0", "ffff:01:00.0", "0000:01:00.0")):
        bus.function(address, group=str(number))

    assert offered(bus.scan()) == ["0000:01:00.0", "ffff:01:00.0", "10000:01:00.0"]
    assert min("10000:01:00.0", "0000:02:00.0", key=address_order) == "0000:02:00.0"


def test_names_that_are_no_addresses_are_not_looked_at(bus: Bus) -> None:
    for name in ("0000:e7:01", "e7:01.0", "0000:E7:01.0", "0000:e7:01.8", "x"):
        bus.function(name)

    assert pci_addresses(bus.root / "sys") == []


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        ("ioatdma", f"IOMMU group 44 cannot be opened: {EC} in it is bound to ioatdma"),
        ("vfio-pci", ""),
        ("pci-stub", ""),
        ("pcieport", ""),
        (None, ""),
    ],
)
def test_a_group_with_a_function_of_an_ordinary_driver_is_unhealthy(bus: Bus, driver: str | None, reason: str) -> None:
    bus.function(E7)
    bus.function(EC, device="0x1234", driver=driver)

    (device,) = devices(bus.scan())

    assert (device.health, device.reason) == (Health.UNHEALTHY if reason else Health.HEALTHY, reason)


def test_devices_that_share_a_group_are_unhealthy_unless_that_is_allowed(bus: Bus) -> None:
    bus.function(E7)
    bus.function(EA)

    refused, allowed = devices(bus.scan()), devices(bus.scan(allow_shared_iommu_group=True))

    assert [device.reason for device in refused] == [
        "2 DSA devices share IOMMU group 44, which only one container can open"
    ] * 2
    assert [device.health for device in allowed] == [Health.HEALTHY] * 2


def test_why_an_offered_device_is_lost_is_told(bus: Bus) -> None:
    path = bus.function(E7)
    plugin = bus.plugin()
    assert offered(plugin.scan()) == [E7]

    (path / "driver").unlink()
    (path / "driver").symlink_to("../../../bus/pci/drivers/idxd")
    result = plugin.scan()

    assert not result.devices
    assert result.losses == {"vfio": {E7: "its driver is 'idxd', not vfio-pci"}}
    assert plugin.scan().losses == {"vfio": {}}


def test_the_kernels_events_and_the_directory_that_concern_it(bus: Bus) -> None:
    assert bus.plugin().subsystems == {"pci", "vfio"}
    assert list(bus.plugin().watched_directories) == [bus.root / "dev/vfio"]


async def test_a_pod_is_given_its_device(bus: Bus) -> None:
    path = bus.function(E7, driver=None)
    bus.function(AT_0001, group="7")
    async with program("xpu_plugins.dsa", bus.root, "-driver=vfio-pci", "-shared-dev-num=2") as running:
        await running.says("--shared-dev-num=2 has no effect with --driver=vfio-pci")
        await running.kubelet.wait_for_list(RESOURCE, lambda listed: set(listed.devices) == {AT_0001})
        (path / "driver").symlink_to("../../../bus/pci/drivers/vfio-pci")
        running.tell("bind", "pci")
        await running.kubelet.wait_for_list(RESOURCE, lambda listed: set(listed.devices) == {E7, AT_0001})

        pod = await running.kubelet.admit("dpdk", {RESOURCE: 2})

        assert {node.host_path for node in pod.given.nodes} == {"/dev/vfio/44", "/dev/vfio/vfio", "/dev/vfio/7"}
        assert dict(pod.given.envs) == {"VFIO_BDF0": E7, "VFIO_BDF1": AT_0001}
