"""A node as they are: a server's graphics chip, an integrated GPU and a discrete one with shared devices."""

from pathlib import Path

import pytest

from handmade_gpus import HandmadeGpus, container_paths, ids, mounts, rejection
from xpu_shared.allocation import compose
from xpu_shared.cdi import render

CDI_FILE = """\
---
cdiVersion: 0.5.0
containerEdits: {}
devices:
- containerEdits:
    deviceNodes:
    - hostPath: /dev/dri/card2
      path: /dev/dri/card2
      permissions: rw
    - hostPath: /dev/dri/renderD129
      path: /dev/dri/renderD129
      permissions: rw
    mounts:
    - containerPath: /dev/dri/by-path/pci-0000:17:00.0-card
      hostPath: /dev/dri/by-path/pci-0000:17:00.0-card
      options:
      - bind
      - ro
      type: none
    - containerPath: /dev/dri/by-path/pci-0000:17:00.0-render
      hostPath: /dev/dri/by-path/pci-0000:17:00.0-render
      options:
      - bind
      - ro
      type: none
  name: card2
kind: intel.cdi.k8s.io/gpu
"""


@pytest.fixture
def node(gpus: HandmadeGpus) -> HandmadeGpus:
    gpus.card("card0", path="pci0000:00/0000:00:1c.5/0000:02:00.0/0000:03:00.0", attributes={"vendor": "0x1a03"})
    gpus.card(
        "card1",
        path="pci0000:00/0000:00:02.0",
        attributes={"device": "0xa7a0", "numa_node": "0"},
        driver="i915",
        files=("card1", "renderD128"),
    )
    discrete = gpus.card(
        "card2",
        path="pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0",
        attributes={"device": "0xe20b"},
        driver="xe",
        files=("card2", "renderD129"),
    )
    (discrete / "xe.mei-gscfi.768/mei/mei3").mkdir(parents=True)
    for name, target in (
        ("pci-0000:00:02.0-card", "card1"),
        ("pci-0000:00:02.0-render", "renderD128"),
        ("pci-0000:00:02.0-platform-simple-framebuffer.0-card", "card1"),
        ("pci-0000:17:00.0-card", "card2"),
        ("pci-0000:17:00.0-render", "renderD129"),
    ):
        gpus.link(name, f"../{target}")
    return gpus


def test_what_is_offered(node: HandmadeGpus) -> None:
    result = node.scan(shared_dev_num=2, enable_monitoring=True)

    assert ids(result) == {"i915": ["card1-0", "card1-1"], "xe": ["card2-0", "card2-1"], "monitoring": ["all"]}
    assert container_paths(result.devices["monitoring"][0]) == [
        "/dev/dri/card1",
        "/dev/dri/renderD128",
        "/dev/dri/card2",
        "/dev/dri/renderD129",
        "/dev/mei3",
    ]
    assert result.devices["i915"][0].numa_nodes == (0,)
    assert rejection(result, "card0").expected


def test_what_is_offered_with_split_monitoring(node: HandmadeGpus) -> None:
    devices = node.scan(enable_monitoring=True, monitoring_mode="split").devices

    assert container_paths(devices["i915_monitoring"][0]) == ["/dev/dri/card1", "/dev/dri/renderD128"]
    assert container_paths(devices["xe_monitoring"][0]) == ["/dev/dri/card2", "/dev/dri/renderD129", "/dev/mei3"]


def test_what_a_container_of_the_discrete_gpu_is_given(node: HandmadeGpus) -> None:
    device = node.scan(shared_dev_num=2).devices["xe"][1]
    allocation = compose("gpu.intel.com/xe", [device])

    assert device.id == "card2-1"
    assert [(file.host_path, file.container_path, file.permissions) for file in allocation.nodes] == [
        ("/dev/dri/card2", "/dev/dri/card2", "rw"),
        ("/dev/dri/renderD129", "/dev/dri/renderD129", "rw"),
    ]
    assert [Path(mount.host_path).name for mount in allocation.mounts] == [
        "pci-0000:17:00.0-card",
        "pci-0000:17:00.0-render",
    ]
    assert all(mount.read_only for mount in allocation.mounts)
    assert allocation.envs == {}
    assert allocation.cdi_names == ("intel.cdi.k8s.io/gpu=card2",)


def test_what_a_container_of_the_integrated_gpu_is_given(node: HandmadeGpus) -> None:
    device = node.scan().devices["i915"][0]

    assert mounts(device) == ["pci-0000:00:02.0-card", "pci-0000:00:02.0-render"]


def test_a_denied_card_is_neither_offered_nor_monitored(node: HandmadeGpus) -> None:
    result = node.scan(deny_ids=("0xa7a0",), enable_monitoring=True)

    assert ids(result) == {"xe": ["card2-0"], "monitoring": ["all"]}
    assert "/dev/dri/card1" not in container_paths(result.devices["monitoring"][0])


def test_the_cdi_file(node: HandmadeGpus) -> None:
    device = node.scan().devices["xe"][0]

    assert device.cdi is not None
    assert render(device.cdi) == CDI_FILE
