"""The present state as a layout file."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from layouts import layout, queue
from provisioned import IdxdNode, logging_as_it_was, results
from xpu_plugins.idxd_provision.export import export
from xpu_plugins.idxd_provision.program import PROGRAM
from xpu_shared.provisioning.plan import LayoutError
from xpu_simulator.families.idxd.device import Dsa, Iaa

LAYOUT = layout(
    queue(0, block_on_fault=1, max_transfer_size=4096),
    queue(5, mode="dedicated", threshold=None, type="kernel", name="fast"),
    group={"read_buffers_allowed": 16, "use_read_buffer_limit": 1},
    read_buffer_limit=8,
)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with logging_as_it_was():
        yield


def run(node: IdxdNode, *arguments: str) -> int:
    return PROGRAM.main([*arguments, f"--sysfs-root={node.tree.sysfs}"], sysfs=node.sysfs)


@pytest.mark.parametrize("changes", [{}, {"tokens": True}, {"version": 0x300}])
def test_what_is_exported_is_unchanged_when_applied_and_makes_the_same_of_a_new_device(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    node = IdxdNode(tmp_path, Dsa(number=2), Iaa(number=3), Dsa(number=10))
    for name in ("dsa2", "dsa10"):
        node.become(name, **changes)
    fresh = node.state("dsa2"), node.state("dsa10"), node.state("iax3")
    assert results(node.apply(LAYOUT)) == {"dsa2": "changed", "dsa10": "changed"}
    node.apply(layout(queue(1), dev="iaxX"), environment={"DEVICE_TYPE": "iaa"})
    text = export(node.sysfs, ("dsa", "iax"))

    assert [entry["dev"] for entry in json.loads(text)] == ["dsa2", "iax3", "dsa10"]
    assert results(node.apply(json.loads(text))) == {"dsa2": "unchanged", "iax3": "unchanged", "dsa10": "unchanged"}
    for state in fresh:
        node.kernel.become(state)
    assert results(node.apply(json.loads(text))) == {"dsa2": "changed", "iax3": "changed", "dsa10": "changed"}
    assert export(node.sysfs, ("dsa", "iax")) == text


def test_the_flag_prints_the_file_and_changes_nothing(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    node.apply(LAYOUT)
    before = node.state()

    assert run(node, "provision", "--export") == 0
    (entry,) = json.loads(capfd.readouterr().out)
    assert entry["groups"][0]["grouped_workqueues"] == [
        {
            "dev": "wq11.0", "group_id": 0, "mode": "shared", "type": "user", "size": 16, "priority": 10,
            "block_on_fault": 1, "ats_disable": 0, "prs_disable": 0, "max_transfer_size": 4096, "max_batch_size": 32,
            "op_config": node.sysfs.read("bus/dsa/devices/wq11.0/op_config"),
            "driver_name": "user", "name": "app110", "threshold": 12,
        }
    ]  # fmt: skip
    assert node.state() == before


def test_only_enabled_devices_and_queues_can_be_said(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LayoutError, match="no device of dsa or iax is enabled"):
        export(node.sysfs, ("dsa", "iax"))
    assert run(node, "--export") == 1
    said = capfd.readouterr()
    assert (said.out, "there is nothing to export" in said.err) == ("", True)

    node.apply(LAYOUT)
    node.become(queues=tuple(replace(one, enabled=one.number == 0) for one in node.state().queues))
    assert run(node, "--export") == 0
    said = capfd.readouterr()
    assert "wq11.5" not in said.out
    assert "a layout cannot say all of it: wq11.5 size 16 → 0" in said.err


def test_a_name_that_a_layout_would_change_is_told(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    node.apply(layout(queue(0)))
    (configured,) = node.state().queues
    node.become(queues=(replace(configured, name="boX"),))

    assert run(node, "--export") == 0
    assert "wq11.0 name boX → bo11" in capfd.readouterr().err


@pytest.mark.parametrize("other", ["plan", "status", "--plan", "--watch"])
def test_it_goes_with_no_other_command(node: IdxdNode, other: str) -> None:
    assert run(node, "--export", other) == 2
