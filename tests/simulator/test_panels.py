import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console, Group, RenderableType

from xpu_simulator import panels
from xpu_simulator.commands import print_status
from xpu_simulator.status import DeviceStatus, HardwareStatus, KubeletStatus, PodStatus, ResourceStatus, Status


def status(*, devices: int = 4, resources: int = 1, id_: str = "card{}-0", gpus: int = 4) -> Status:
    listed = [
        DeviceStatus(id=id_.format(number), health="Healthy", numa_nodes=[0], pod="training" if number == 1 else None)
        for number in range(devices)
    ]
    return Status(
        name="four-gpus",
        directory=Path("/tmp/xpu-sim-abc"),
        kubelet=KubeletStatus(version="1.36", running=True),
        hardware={
            "GPUs": [HardwareStatus(name=f"gpu{number}", driver="i915" if number else None) for number in range(gpus)],
            "DSA": [HardwareStatus(name="dsa0", driver="idxd")],
        },
        resources=[
            ResourceStatus(name=f"gpu.intel.com/r{number}", capacity=devices, allocatable=devices, devices=listed)
            for number in range(resources)
        ],
        pods=[],
    )


def rendered(panel: RenderableType, *, width: int = 100) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=30).print(panel)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_devices_stand_in_as_many_columns_as_fit() -> None:
    assert rendered(panels.devices(status(), width=100, height=10)) == [
        "DEVICE    HEALTH    NUMA   POD        DEVICE    HEALTH    NUMA   POD",
        "card0-0   Healthy   0      -          card2-0   Healthy   0      -",
        "card1-0   Healthy   0      training   card3-0   Healthy   0      -",
    ]
    assert len(rendered(panels.devices(status(), width=60, height=10), width=60)) == 5


def test_devices_that_do_not_fit_are_counted() -> None:
    lines = rendered(panels.devices(status(devices=640), width=100, height=11))
    assert len(lines) == 12
    assert lines[-1] == "and 620 more: xpu-simulator status shows all"
    assert rendered(panels.devices(status(devices=640), width=30, height=11), width=30)[-1].startswith("and 630 more")


def test_of_devices_that_do_not_fit_the_unhealthy_and_those_of_pods_come_first() -> None:
    full = status(devices=100)
    (resource,) = full.resources
    devices = [
        *resource.devices[:70],
        resource.devices[70].model_copy(update={"health": "Gone"}),
        *resource.devices[71:],
    ]
    changed = full.model_copy(update={"resources": [resource.model_copy(update={"devices": devices})]})
    lines = rendered(panels.devices(changed, width=40, height=5), width=40)
    assert [line.split()[0] for line in lines[1:5]] == ["card70-0", "card1-0", "card0-0", "card2-0"]


def test_devices_of_several_resources_are_told_apart() -> None:
    lines = rendered(panels.devices(status(resources=2, devices=1), width=40, height=10))
    assert [line.split()[0] for line in lines[1:]] == ["r0/card0-0", "r1/card0-0"]


@pytest.mark.parametrize("id_", ["{}-" + "x" * 200, "\033[2J{}", "[bold]{}", "🂡{}"])
def test_strange_ids_spoil_nothing(id_: str) -> None:
    lines = rendered(panels.devices(status(id_=id_), width=100, height=10))
    assert len(lines) == 5 if len(id_) > 100 else len(lines) in (3, 5)
    assert all(len(line) <= 100 and line.isprintable() for line in lines)
    assert "\033" not in "".join(lines)


def test_devices_are_grouped_by_family_and_driver() -> None:
    assert rendered(Group(*panels.hardware(status()))) == [
        "GPUs   pulled out gpu0   i915 gpu1 gpu2 gpu3",
        "DSA   idxd dsa0",
    ]
    line, _ = rendered(Group(*panels.hardware(status(gpus=128))))
    assert line.endswith("gpu8 … (127)")


def test_pods_that_do_not_run_are_counted_and_told() -> None:
    pods = [
        PodStatus(name="fine", running=True, message="", devices={}),
        PodStatus(name="waits", running=False, message="no\033[2Jthing", devices={}),
    ]
    told = status().model_copy(update={"pods": pods})
    assert rendered(panels.headline(told))[0].startswith("four-gpus   kubelet 1.36 running   2 pods, 1 not running   /")
    assert rendered(panels.not_running(told)) == ["pod waits does not run: no\\x1b[2Jthing"]
    out = io.StringIO()
    with redirect_stdout(out):
        print_status(told, Console(file=out, width=100))
    assert out.getvalue().endswith("\n\npod waits does not run: no\\x1b[2Jthing\n")


def test_a_node_without_anything_has_headings_only() -> None:
    assert rendered(panels.devices(status(resources=0), width=100, height=10))[0].startswith("DEVICE")
    assert rendered(panels.hardware(status(gpus=0))[0]) == ["GPUs"]
