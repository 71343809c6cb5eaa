from dataclasses import replace
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.allocation import (
    AllocationError,
    ConflictError,
    InvalidRequestError,
    UnhealthyDeviceError,
    UnknownDeviceError,
    answers,
    compose,
    grant,
    preference_problem,
)
from xpu_shared.device import Allocation, CdiDevice, Device, DeviceNode, FilesystemMount, Health, Mount
from xpu_shared.inventory import Snapshot


def node(path: str, host: str = "") -> DeviceNode:
    return DeviceNode(host_path=host or path, container_path=path)


M1 = Device(
    id="m1", nodes=(node("/dev/x0"),), envs={"A": "1"}, cdi=CdiDevice(kind="intel.cdi.k8s.io/demo", name="unit0")
)
M2 = Device(id="m2", nodes=(node("/dev/x1"), node("/dev/xctl")), envs={"A": "2", "B": "3"})
SICK = Device(id="sick", health=Health.UNHEALTHY, reason="too hot")
SNAPSHOT = Snapshot(version=1, devices={device.id: device for device in (M1, M2, SICK)})


def test_devices_are_granted_in_the_order_of_the_request() -> None:
    assert grant("r", SNAPSHOT, ["m2", "m1"]) == [M2, M1]


def test_ids_that_only_count_may_be_none_or_there_twice_but_must_exist() -> None:
    assert grant("r", SNAPSHOT, ["m2", "m1", "m2"], ids_only_count=True) == [M2, M1]
    assert grant("r", SNAPSHOT, [], ids_only_count=True) == []
    with pytest.raises(UnknownDeviceError, match="'m9' does not exist"):
        grant("r", SNAPSHOT, ["m1", "m9"], ids_only_count=True)


@pytest.mark.parametrize(
    ("ids", "error", "text"),
    [
        (["m1", "m9"], UnknownDeviceError, r"demo/x: device 'm9' does not exist.*delete the pod"),
        (["sick"], UnhealthyDeviceError, r"demo/x: device 'sick' is unhealthy: too hot"),
        ([], InvalidRequestError, r"demo/x: .* no device id"),
        (["m1", "m1"], InvalidRequestError, r"demo/x: device id 'm1' is requested twice"),
        (["x" * 5000], UnknownDeviceError, r"demo/x: device 'x{80}…'"),
    ],
)
def test_a_refusal_names_resource_and_id(ids: list[str], error: type[AllocationError], text: str) -> None:
    with pytest.raises(error, match=text):
        grant("demo/x", SNAPSHOT, ids)


def test_a_request_of_tens_of_thousands_of_ids_is_looked_through_once() -> None:
    ids = [f"x{number}" for number in range(50_000)]
    started = perf_counter()
    with pytest.raises(InvalidRequestError, match="'x49999' is requested twice"):
        grant("r", SNAPSHOT, [*ids, ids[-1]])
    assert perf_counter() - started < 2


def test_nodes_keep_the_order_and_the_last_env_wins() -> None:
    allocation = compose("r", [M2, M1])

    assert [item.container_path for item in allocation.nodes] == ["/dev/x1", "/dev/xctl", "/dev/x0"]
    assert allocation.envs == {"A": "1", "B": "3"}
    assert allocation.cdi_names == ("intel.cdi.k8s.io/demo=unit0",)


def test_what_several_devices_share_is_given_once() -> None:
    mount = Mount(host_path="/lib", container_path="/lib")
    first = Device(id="a-0", nodes=(node("/dev/x"),), mounts=(mount,), cdi=M1.cdi)
    second = Device(id="a-1", nodes=(node("/dev/x"),), mounts=(mount,), cdi=M1.cdi)

    allocation = compose("r", [first, second])

    assert allocation.nodes == (node("/dev/x"),)
    assert allocation.mounts == (mount,)
    assert len(allocation.cdi_names) == 1


def test_two_host_paths_for_one_container_path_are_a_conflict() -> None:
    with pytest.raises(ConflictError, match="r: /dev/x would be both /dev/x and /dev/y"):
        compose("r", [Device(id="a", nodes=(node("/dev/x"),)), Device(id="b", nodes=(node("/dev/x", "/dev/y"),))])


LINK = Mount(host_path="/dev/dri/by-path/x", container_path="/dev/dri/by-path/x")
FIRMWARE = Mount(host_path="/lib/x", container_path="/lib/x")
WITH_CDI = Device(
    id="c",
    nodes=(node("/dev/x0", "/host/x0"), node("/dev/xctl")),
    mounts=(LINK, FIRMWARE),
    envs={"A": "1"},
    annotations={"a": "b"},
    cdi=CdiDevice(kind="intel.cdi.k8s.io/demo", name="c", nodes=(node("/dev/x0", "/host/x0"),), mounts=(LINK,)),
)
NAME = "intel.cdi.k8s.io/demo=c"


def composed(device: Device, device_list: str) -> Allocation:
    return compose("r", [device], device_list=device_list)


def test_by_cdi_alone_there_is_only_what_the_cdi_file_leaves_out() -> None:
    expected = Allocation(
        nodes=(node("/dev/xctl"),), mounts=(FIRMWARE,), envs={"A": "1"}, annotations={"a": "b"}, cdi_names=(NAME,)
    )
    assert composed(WITH_CDI, "cdi") == expected


def test_by_nodes_alone_there_is_everything_but_the_cdi_name() -> None:
    both = composed(WITH_CDI, "both")

    assert (both.nodes, both.mounts, both.cdi_names) == (WITH_CDI.nodes, WITH_CDI.mounts, (NAME,))
    assert composed(WITH_CDI, "nodes") == replace(both, cdi_names=())


@pytest.mark.parametrize("device_list", ["nodes", "cdi", "both"])
def test_devices_without_cdi_are_told_of_by_their_nodes(device_list: str) -> None:
    assert composed(M2, device_list) == compose("r", [M2])


def test_a_file_system_that_only_cdi_can_mount_keeps_the_cdi_name() -> None:
    efi = FilesystemMount(source="efivarfs", container_path="/run/efivars", type="efivarfs")
    device = Device(id="r", nodes=(node("/dev/x"),), cdi=CdiDevice(kind="k/d", name="r", filesystems=(efi,)))

    assert composed(device, "nodes").cdi_names == ("k/d=r",)
    assert composed(device, "cdi").nodes == device.nodes  # of which the CDI file says nothing


@pytest.mark.parametrize(
    ("available", "must_include", "size"),
    [(["a"], [], 0), (["a"], [], -1), (["a"], [], 2), (["a", "b"], ["c"], 1), (["a", "b"], ["a", "b"], 1), ([], [], 1)],
)
def test_a_preference_that_is_impossible_has_a_reason(available: list[str], must_include: list[str], size: int) -> None:
    assert preference_problem(available, must_include, size)


@given(st.sets(st.text(max_size=3), min_size=1), st.data())
def test_any_right_choice_answers_and_any_other_size_does_not(available: set[str], data: st.DataObject) -> None:
    ids = sorted(available)
    chosen = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    must_include = data.draw(st.lists(st.sampled_from(chosen), unique=True))

    assert preference_problem(ids, must_include, len(chosen)) is None
    assert answers(chosen, ids, must_include, len(chosen))
    assert not answers(chosen, ids, must_include, len(chosen) + 1)
    assert not answers([*chosen, chosen[0]], ids, must_include, len(chosen) + 1)
