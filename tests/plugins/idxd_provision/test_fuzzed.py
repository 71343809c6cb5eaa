"""Layouts that nobody would write: refused before the first write, or taken, and then the kernel refuses nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layouts import BULK, queue
from provisioned import IdxdNode, Interposed
from xpu_shared.provisioning.plan import LayoutError

NUMBERS = st.one_of(st.integers(-1, 4), st.integers(0, 140), st.sampled_from(["7", "0x10", "x", None, 1.5, True]))
WILD = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["dedicated", "shared", "both"]),
        "type": st.sampled_from(["user", "none"]),
        "size": NUMBERS,
        "group_id": st.sampled_from([0, 1, "1", 3, -1]),
        "priority": NUMBERS,
        "threshold": NUMBERS,
        "block_on_fault": st.sampled_from([0, 1, "1", 2]),
        "max_transfer_size": st.integers(0, 2**32),
        "max_batch_size": st.integers(0, 2048),
        "name": st.text(max_size=8),
        "op_config": st.sampled_from(["00000001,003f03ff", "1", "ffffffff,00000000", ""]),
    },
)
TAME = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["dedicated", "shared"]),
        "size": st.integers(12, 64),
        "group_id": st.integers(0, 3),
        "priority": st.integers(1, 15),
        "threshold": st.integers(1, 13),
        "max_transfer_size": st.integers(1, 2**31),
        "max_batch_size": st.integers(1, 1024),
        "name": st.text(alphabet="ab X_,0\u00e9", min_size=1, max_size=8),
        "op_config": st.sampled_from(["00000001,003f03ff", "1", "3f0000"]),
    },
)
GROUP = st.fixed_dictionaries(
    {},
    optional={
        "read_buffers_reserved": st.integers(0, 60),
        "read_buffers_allowed": st.integers(0, 100),
        "use_read_buffer_limit": st.sampled_from([0, 1]),
        "desc_progress_limit": st.integers(0, 4),
    },
)


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> IdxdNode:
    return IdxdNode(tmp_path_factory.mktemp("fuzzed"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.dictionaries(st.integers(0, 8), WILD, min_size=1, max_size=3),
        st.dictionaries(st.integers(0, 7), TAME, min_size=1, max_size=3),
    ),
    st.dictionaries(st.integers(0, 3), GROUP, min_size=1, max_size=3),
    st.integers(0, 100),
)
def test_what_is_taken_is_possible_and_what_is_refused_writes_nothing(
    shared_node: IdxdNode,
    queues: dict[int, dict[str, Any]],
    groups: dict[int, dict[str, Any]],
    limit: int,
) -> None:
    arrays = {
        "grouped_workqueues": [{**queue(number), **changes} for number, changes in queues.items()],
        "grouped_engines": [
            {"dev": f"engineX.{number}", "group_id": group}
            for number, group in enumerate({changes.get("group_id", 0) for changes in queues.values()})
        ],
    }
    nodes = [{"dev": f"groupX.{number}", **attributes} for number, attributes in groups.items()]
    nodes[0] |= arrays
    kernel = Interposed(shared_node.sysfs)
    (outcome,) = shared_node.apply([{"dev": "dsaX", "read_buffer_limit": limit, "groups": nodes}], sysfs=kernel)

    if outcome.result == "refused":
        assert kernel.writes == []
        return
    assert outcome.result in ("changed", "unchanged"), outcome.messages


@given(
    st.lists(
        st.tuples(st.integers(0, len(BULK)), st.sampled_from(["", ",", "}", "]", '"', "9", "\\", "//", "null"])),
        max_size=4,
    )
)
def test_a_damaged_file_is_refused_or_means_what_it_says(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, str]]
) -> None:
    from xpu_plugins.idxd_provision.layout import json_layout

    text = BULK
    for place, instead in damage:
        text = text[:place] + instead + text[place + 1 :]
    try:
        found = json_layout(text, "file")
    except LayoutError as error:
        said = str(error)
    else:
        said = ""
        assert all(isinstance(entry["dev"], str) for entry in found.entries.values())
    assert "\n" not in said
    assert not said or said.startswith("file: ")


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_refused_in_json_and_yaml(tmp_path: Path, noise: bytes) -> None:
    from xpu_plugins.idxd_provision.layout import read_layout

    for name in ("noise.conf", "noise.yaml"):
        path = tmp_path / name
        path.write_bytes(noise)
        with pytest.raises(LayoutError, match=name):
            read_layout(path)


def test_the_example_is_what_the_damage_is_done_to() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(BULK)
