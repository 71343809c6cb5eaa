"""Every rule that a layout has to keep: a device whose layout breaks one is refused, and nothing is written."""

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layouts import layout, queue
from provisioned import IdxdNode, Interposed, results, short, text_of
from xpu_plugins.idxd_provision.device import Device, read_device
from xpu_plugins.idxd_provision.layout import as_layout
from xpu_plugins.idxd_provision.planning import changing
from xpu_plugins.idxd_provision.rules import wish
from xpu_shared.provisioning.plan import LayoutError, RefusedError
from xpu_simulator.families.idxd.device import Iaa

WQ = r"groups\[0\]\.grouped_workqueues\[0\]"


def refusal(node: IdxdNode, entries: object) -> str:
    """What is said of a layout that is refused before any write."""
    kernel = Interposed(node.sysfs)
    outcomes = node.apply(entries, sysfs=kernel)

    assert results(outcomes) == {"dsa11": "refused"}
    assert outcomes[0].wrong
    assert kernel.writes == []
    assert "\n" not in text_of(outcomes)
    return text_of(outcomes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dev": "wq4.0"}, rf"{WQ}\.dev: expected a wq of this device such as wq11.0, found 'wq4.0'"),
        ({"dev": "wqX.8"}, rf"{WQ}\.dev: expected one of the device's 8, .*found 'wqX.8'"),
        ({"dev": "queueX.0"}, rf"{WQ}\.dev: expected a wq .*found 'queueX.0'"),
        ({"group_id": 4}, rf"{WQ}\.group_id: expected 0 to 3, found 4"),
        ({"group_id": -1}, rf"{WQ}\.group_id: expected 0 to 3, found -1"),
        ({"group_id": None}, rf"{WQ}\.group_id: expected a value, found nothing"),
        ({"size": 0}, rf"{WQ}\.size: expected 1 to 128, found 0"),
        ({"size": 129}, rf"{WQ}\.size: expected 1 to 128, found 129"),
        ({"size": "many"}, rf"{WQ}\.size: expected 1 to 128, found 'many'"),
        ({"size": 16.5}, rf"{WQ}\.size: expected 1 to 128, found 16.5"),
        ({"size": True}, rf"{WQ}\.size: expected 1 to 128, found True"),
        ({"size": None}, rf"{WQ}\.size: expected a value, found nothing"),
        ({"priority": 0}, rf"{WQ}\.priority: expected 1 to 15, found 0"),
        ({"priority": 16}, rf"{WQ}\.priority: expected 1 to 15, found 16"),
        ({"priority": None}, rf"{WQ}\.priority: expected a value, found nothing"),
        ({"threshold": 0}, rf"{WQ}\.threshold: expected 1 to 16, found 0"),
        ({"threshold": 17}, rf"{WQ}\.threshold: expected 1 to 16, found 17"),
        ({"threshold": None}, rf"{WQ}\.threshold: expected 1 to 16, found nothing"),
        ({"mode": "sharedish"}, rf"{WQ}\.mode: expected dedicated or shared, found 'sharedish'"),
        ({"mode": None}, rf"{WQ}\.mode: expected a value, found nothing"),
        ({"type": "mdev"}, rf"{WQ}\.type: expected user or kernel, found 'mdev'"),
        ({"type": ["user"]}, rf"{WQ}\.type: expected user or kernel, found \['user'\]"),
        ({"name": None}, rf"{WQ}\.name: expected a value, found nothing"),
        ({"name": ""}, rf"{WQ}\.name: expected one line of 1 to 1024 bytes .*found ''"),
        ({"name": "a\nb"}, rf"{WQ}\.name: expected one line"),
        ({"name": "a\0b"}, rf"{WQ}\.name: expected one line"),
        ({"name": " a"}, rf"{WQ}\.name: expected one line"),
        ({"name": "\u00e9" * 513}, rf"{WQ}\.name: expected one line of 1 to 1024 bytes"),
        ({"block_on_fault": 2}, rf"{WQ}\.block_on_fault: expected 0 to 1, found 2"),
        ({"ats_disable": "x"}, rf"{WQ}\.ats_disable: expected 0 to 1, found 'x'"),
        ({"max_transfer_size": 2147483649}, rf"{WQ}\.max_transfer_size: expected 1 to 2147483648, found 2147483649"),
        ({"max_batch_size": 1025}, rf"{WQ}\.max_batch_size: expected 1 to 1024, found 1025"),
        ({"driver_name": "../../x"}, rf"{WQ}\.driver_name: expected a driver such as user"),
        ({"driver_name": "none_such"}, "dsa11: wq11.0: driver_name none_such: .*drivers/none_such is missing: is its"),
        ({"op_config": "xyz"}, rf"{WQ}\.op_config: expected a bit list"),
        ({"op_config": "ffffffff"}, rf"{WQ}\.op_config: expected bits of the device's op_cap"),
    ],
)
def test_a_queue_that_cannot_be_is_refused(node: IdxdNode, changes: dict[str, Any], said: str) -> None:
    engines = [{"dev": "engineX.0", "group_id": 0}]
    text = refusal(node, layout(queue(0, **changes), group={"grouped_engines": engines}))

    assert re.search(said, text), text
    assert "layout.json: " in text


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (layout(queue(0), queue(0)), "grouped_workqueues[1].dev: expected each once, found 'wqX.0'"),
        (layout(queue(0, size=100), queue(1, size=100)), "grouped_workqueues: sizes sum to 200, device has 128"),
        (
            layout(queue(0), group={"grouped_engines": [{"dev": "engineX.1", "group_id": 1}]}),
            "group11.0 has a queue but no engine",
        ),
        (
            layout(queue(0), group={"grouped_engines": [{"dev": "engineX.0", "group_id": n} for n in (0, 0)]}),
            "grouped_engines[1].dev: expected each once",
        ),
        (
            layout(group={"grouped_engines": [{"dev": "engineX.0", "group_id": 2}]}),
            "group11.2 has an engine but no queue",
        ),
        (layout(), "groups: expected at least one queue, or the device cannot be enabled, found nothing"),
        (layout(read_buffer_limit=4), "groups: expected at least one queue"),
        ([{"dev": "dsaX"}], "groups: expected at least one queue"),
        (layout(group={"grouped_engines": [{"dev": "engineX.4", "group_id": 0}]}), "expected one of the device's 4"),
        (layout(queue(0), group={"dev": "groupX.4"}), "groups[0].dev: expected one of the device's 4"),
        (layout(queue(0), group={"read_buffers_allowed": 97}), "read_buffers_allowed: expected 0 to 96, found 97"),
        (layout(queue(0), group={"read_buffers_allowed": 3}), "expected 4 (4 for each engine) to 96"),
        (layout(queue(0), group={"traffic_class_a": 8}), "traffic_class_a: expected -1 to 7, found 8"),
        (layout(queue(0), group={"desc_progress_limit": 4}), "desc_progress_limit: expected 0 to 3, found 4"),
        (layout(queue(0), read_buffer_limit=97), "read_buffer_limit: expected 0 to 96, found 97"),
    ],
)
def test_a_device_that_cannot_be_is_refused(node: IdxdNode, entries: object, said: str) -> None:
    assert said in refusal(node, entries)


def test_a_user_queue_without_shared_virtual_memory_is_refused_with_a_hint(node: IdxdNode) -> None:
    node.become(pasid_enabled=False)

    text = refusal(node, layout(queue(0, mode="dedicated", threshold=None)))
    assert "while pasid_enabled is 0" in text
    assert "intel_iommu=on,sm_on" in text


def test_a_device_that_is_named_and_absent_is_an_error_and_others_go_on(node: IdxdNode) -> None:
    outcomes = node.apply([*layout(queue(0)), *layout(queue(0), dev="dsa4")])

    assert results(outcomes) == {"dsa11": "changed", "dsa4": "refused"}
    assert "dsa4: there is no such device" in text_of(outcomes)


def test_a_devices_own_entry_is_used_instead_of_that_for_all(node: IdxdNode) -> None:
    node.apply([*layout(queue(0)), *layout(queue(3, name="own"), dev="dsa11")])

    assert [(one.number, one.name) for one in node.state().queues] == [(3, "own")]


def test_the_group_is_decided_by_the_number_and_not_by_the_enclosing_group(node: IdxdNode) -> None:
    engines = [{"dev": "engineX.0", "group_id": 2}]
    node.apply(layout(queue(0, group_id=2), group={"grouped_engines": engines}))

    assert node.state().queues[0].group == 2


def test_sizes_that_are_no_power_of_two_are_rounded_up_and_told(node: IdxdNode) -> None:
    outcomes = node.apply(layout(queue(0, max_transfer_size=5000)))

    assert node.state().queues[0].max_transfer_size == 8192
    assert "5000 is rounded up to 8192" in text_of(outcomes)
    assert results(node.apply(layout(queue(0, max_transfer_size=5000)))) == {"dsa11": "unchanged"}


def test_a_threshold_of_a_dedicated_queue_null_and_unknown_keys_are_ignored(node: IdxdNode) -> None:
    entries = layout(queue(0, mode="dedicated", threshold=15) | {"block_on_fault": None, "colour": "red"})

    assert results(node.apply(entries)) == {"dsa11": "changed"}
    assert node.state().queues[0].threshold == 0


def test_old_names_are_taken_and_told(node: IdxdNode) -> None:
    outcomes = node.apply(layout(queue(0), group={"tokens_allowed": 8}, token_limit=10))

    assert node.state().groups[0].read_buffers_allowed == 8
    assert node.state().read_buffer_limit == 10
    assert "tokens_allowed: deprecated, its name is read_buffers_allowed now" in text_of(outcomes)


def test_read_buffers_of_iaa_are_ignored(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Iaa(number=1))
    outcomes = node.apply(layout(queue(0), dev="iaxX", group={"read_buffers_allowed": 8}))

    assert results(outcomes) == {"iax1": "changed"}
    assert "ignored, iax1 has no such attribute" in text_of(outcomes)


def test_traffic_classes_of_old_parts_are_ignored_and_refused_ones_explained(node: IdxdNode) -> None:
    assert results(node.apply(layout(queue(0), group={"traffic_class_a": 5}))) == {"dsa11": "changed"}
    node.become(version=0x200)
    outcomes = node.apply(layout(queue(0), group={"traffic_class_a": 5}))

    assert results(outcomes) == {"dsa11": "failed"}
    assert "tc_override" in text_of(outcomes)
    assert results(node.apply(layout(queue(0, priority=3), group={"traffic_class_a": 1}))) == {"dsa11": "changed"}


def test_where_firmware_has_fixed_the_layout_only_names_and_drivers_are_written(node: IdxdNode) -> None:
    entries = layout(queue(0, mode="dedicated", threshold=None))
    node.apply(entries)
    node.become(configurable=False)
    renamed = layout(queue(0, mode="dedicated", threshold=None, name="new"))

    assert "the device's layout is fixed" in refusal(node, layout(queue(0, mode="dedicated", threshold=None, size=8)))
    (plan,) = node.provisioner(renamed).plans()
    assert {write.path.rpartition("/")[2] for write in plan.writes} == {"unbind", "bind", "type", "name", "driver_name"}


def test_where_the_layout_is_fixed_all_queues_get_their_names_again(node: IdxdNode) -> None:
    """Disabling the device takes type and name of those queues too that stay as they are."""
    kept, renamed = queue(0, mode="dedicated", threshold=None), queue(1)
    node.apply(layout(kept, renamed))
    node.become(configurable=False)

    for entries in (layout(kept, {**renamed, "name": "new"}), layout(kept, {**renamed, "name": "newer"})):
        assert results(node.apply(entries)) == {"dsa11": "changed"}
        assert results(node.apply(entries)) == {"dsa11": "unchanged"}
    assert [(one.name, one.enabled) for one in node.state().queues] == [("app110", True), ("newer", True)]


def test_read_buffers_that_an_older_kernel_calls_tokens_are_written(node: IdxdNode) -> None:
    node.become(tokens=True)
    entries = layout(queue(0), group={"read_buffers_allowed": 16, "use_token_limit": 1}, read_buffer_limit=8)
    (outcome,) = node.apply(entries)

    assert outcome.result == "changed"
    assert {path.rpartition("/")[2] for path, _ in short(outcome) if "token" in path} == {
        "token_limit", "use_token_limit", "tokens_allowed",
    }  # fmt: skip
    assert (node.state().read_buffer_limit, node.state().groups[0].read_buffers_allowed) == (8, 16)
    assert results(node.apply(entries)) == {"dsa11": "unchanged"}
    assert "read_buffer_limit: expected 0 to 96, found 97" in refusal(node, layout(queue(0), read_buffer_limit=97))


def test_what_the_kernel_says_of_a_failed_bind_is_in_the_message(node: IdxdNode) -> None:
    outcomes = node.apply(layout(queue(0)), sysfs=WithoutSva(node))

    assert results(outcomes) == {"dsa11": "failed"}
    assert "drivers/user/bind: 'wq11.0': EOPNOTSUPP" in text_of(outcomes)
    assert "cmd_status 0x80050000: no shared virtual memory" in text_of(outcomes)
    assert node.state().queues == ()


class WithoutSva(Interposed):
    """It turns out only when a queue is enabled."""

    def __init__(self, node: IdxdNode) -> None:
        super().__init__(node.sysfs)
        self._node = node

    def write(self, path: str, text: str) -> None:
        if path.endswith("user/bind"):
            self._node.become(pasid_enabled=False)
        super().write(path, text)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.text(max_size=6),
    st.sampled_from(["shared", "dedicated", "user"]),
)
KEYS = st.sampled_from(
    [
        "dev",
        "mode",
        "type",
        "size",
        "group_id",
        "priority",
        "threshold",
        "name",
        "driver_name",
        "op_config",
        "tokens_allowed",
    ]
)
DEVS = st.sampled_from(["wqX.0", "wqX.1", "wq11.7", "wq1.1", "engineX.0", "groupX.0", "groupX.3", "dsaX"])


@given(
    st.lists(st.tuples(DEVS, st.dictionaries(KEYS, LEAVES)), max_size=4),
    st.lists(st.tuples(DEVS, st.dictionaries(KEYS, LEAVES)), max_size=3),
    st.dictionaries(KEYS, LEAVES),
)
def test_whatever_a_layout_says_a_device_gets_what_can_be_or_nothing(
    queues: list[tuple[str, Any]], engines: list[tuple[str, Any]], group: dict[str, Any]
) -> None:
    entries = [{"dev": "dsaX", "groups": [{
        **group, "dev": "groupX.1",
        "grouped_workqueues": [{**queue(0), **values, "dev": dev} for dev, values in queues],
        "grouped_engines": [{"group_id": 0, **values, "dev": dev} for dev, values in engines],
    }]}]  # fmt: skip
    try:
        wished = wish(FRESH, as_layout(entries, "file", known_only=False).entries["dsaX"], "file")
    except (LayoutError, RefusedError) as error:
        said = str(error)
        wished = None
    if wished is None:
        assert "\n" not in said
        assert said.startswith("file: ")
        return
    assert sum(int(one["size"]) for one in wished.queues.values()) <= 128
    for one in wished.queues.values():
        assert 1 <= int(one["priority"]) <= 15
        assert one["mode"] == "dedicated" or 1 <= int(one["threshold"]) <= int(one["size"])
    assert changing(FRESH, wished, "idxd")


def fresh() -> Device:
    with tempfile.TemporaryDirectory() as root:
        return read_device(IdxdNode(Path(root)).sysfs, "dsa11")


FRESH = fresh()
