import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from simulator.kubelet.conftest import PluginMaker
from xpu_simulator.kubelet import checkpoint
from xpu_simulator.kubelet.checkpoint import Checkpoint, CheckpointError
from xpu_simulator.kubelet.events import CheckpointFailed, Event
from xpu_simulator.kubelet.grants import Grant
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

names = st.text(max_size=10)
grants = st.builds(
    Grant,
    pod=names,
    resource=names,
    nodes=st.dictionaries(st.integers(-1, 63), st.lists(names, max_size=3), max_size=3),
    answer=st.builds(pb.ContainerAllocateResponse, envs=st.dictionaries(names, names, max_size=3)),
)


@pytest.fixture
def file(kubelet: SimulatedKubelet) -> Path:
    return kubelet.device_plugins / "kubelet_internal_checkpoint"


def data(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())["Data"]
    return content


async def test_it_is_written_with_each_list_and_each_pod(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin, file: Path
) -> None:
    plugin.answers["a"] = pb.ContainerAllocateResponse(envs={"ID": "a"})
    topology = pb.TopologyInfo(nodes=[pb.NUMANode(ID=0), pb.NUMANode(ID=1)])
    plugin.devices = [pb.Device(ID="a", health="Healthy", topology=topology), pb.Device(ID="b", health="Healthy")]
    await plugin.serve()
    await plugin.register()
    await kubelet.wait_for_list(RESOURCE)
    assert data(file) == {"PodDeviceEntries": [], "RegisteredDevices": {RESOURCE: ["a", "b"]}}

    await kubelet.admit("pod", {RESOURCE: 2})
    (entry,) = data(file)["PodDeviceEntries"]
    answer = pb.ContainerAllocateResponse.FromString(base64.b64decode(entry.pop("AllocResp")))
    assert entry == {
        "PodUID": "pod",
        "ContainerName": "main",
        "ResourceName": RESOURCE,
        "DeviceIDs": {"0": ["a"], "1": ["a"], "-1": ["b"]},
    }
    assert answer.envs == {"ID": "a"}

    kubelet.delete("pod")
    assert data(file)["PodDeviceEntries"] == []
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


async def test_another_kubelet_on_the_directory_knows_the_pods_and_their_devices(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path) as kubelet:
        first = new_plugin()
        first.answers["a"] = pb.ContainerAllocateResponse(envs={"ID": "a"})
        await first.start("a")
        await kubelet.wait_for_list(RESOURCE)
        pod = await kubelet.admit("pod", {RESOURCE: 1})
    await first.stop()

    async with SimulatedKubelet(tmp_path) as kubelet:
        assert (kubelet.resources[RESOURCE].registered, kubelet.resources[RESOURCE].capacity) == (True, 0)
        assert kubelet.pods == {"pod": pod}
        second = new_plugin("second.sock")
        await second.start("a", "b")
        await kubelet.wait_for_list(RESOURCE)
        assert (await kubelet.admit("other", {RESOURCE: 1})).devices == {RESOURCE: ("b",)}
        assert len(second.requests) == 1


async def test_a_pod_deleted_while_no_kubelet_ran_is_forgotten(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin, file: Path
) -> None:
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)
    await kubelet.admit("pod", {RESOURCE: 1})
    await kubelet.stop()
    kubelet.delete("pod")

    await kubelet.start()
    await plugin.stop()
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    assert not kubelet.pods
    await kubelet.admit("other", {RESOURCE: 1})


async def test_a_kubelet_that_lost_its_checkpoint_gives_a_device_twice(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin, file: Path
) -> None:
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)
    await kubelet.admit("pod", {RESOURCE: 1})
    await kubelet.stop()
    file.unlink()

    await kubelet.start()
    assert not kubelet.resources[RESOURCE].registered
    await plugin.stop()
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    assert kubelet.pods["pod"].running
    assert (await kubelet.admit("other", {RESOURCE: 1})).devices == {RESOURCE: ("a",)}


async def test_a_corrupt_file_is_told_and_the_kubelet_starts_without_it(kubelet: SimulatedKubelet, file: Path) -> None:
    seen: list[Event] = []
    kubelet.events.subscribe(seen.append)
    file.write_text("{}")

    await kubelet.restart()

    (failed,) = (event for event in seen if isinstance(event, CheckpointFailed))
    assert "kubelet_internal_checkpoint: checkpoint is corrupted" in failed.message


async def test_a_file_that_cannot_be_written_is_told_and_the_kubelet_goes_on(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin, file: Path
) -> None:
    seen: list[Event] = []
    kubelet.events.subscribe(seen.append)
    file.mkdir()
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    await kubelet.admit("pod", {RESOURCE: 1})

    messages = [event.message for event in seen if isinstance(event, CheckpointFailed)]
    assert messages == [f'failed to write checkpoint file "{file}": Is a directory'] * 2


@given(written=st.lists(grants, max_size=4), registered=st.dictionaries(names, st.lists(names, max_size=3)))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[Grant], registered: dict[str, list[str]]
) -> None:
    directory = tmp_path_factory.mktemp("checkpoint", numbered=True)
    checkpoint.write(directory, Checkpoint(grants=written, registered=registered))

    found = checkpoint.read(directory)

    assert (list(found.grants), found.registered) == (written, registered)


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path) == Checkpoint()


def put(directory: Path, content: object) -> None:
    (directory / checkpoint.FILE).write_text(json.dumps(content))


def with_entry(directory: Path, **changes: object) -> None:
    """Write a file whose checksum is right, with an entry changed."""
    grant = Grant(pod="pod", resource=RESOURCE, nodes={-1: ["a"]}, answer=pb.ContainerAllocateResponse())
    checkpoint.write(directory, Checkpoint(grants=[grant]))
    content = json.loads((directory / checkpoint.FILE).read_text())
    content["Data"]["PodDeviceEntries"][0].update(changes)
    put(directory, content | {"Checksum": checkpoint.checksum(content["Data"])})


def test_the_plain_list_of_ids_of_old_kubelets_is_read(tmp_path: Path) -> None:
    with_entry(tmp_path, DeviceIDs=["a", "b"])
    (grant,) = checkpoint.read(tmp_path).grants
    assert grant.ids == {"a", "b"}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"DeviceIDs": {"x": ["a"]}}, "PodDeviceEntries.0.DeviceIDs"),
        ({"DeviceIDs": 7}, "PodDeviceEntries.0.DeviceIDs"),
        ({"PodUID": None}, "PodDeviceEntries.0.PodUID"),
        ({"AllocResp": "?"}, "AllocResp"),
        ({"AllocResp": "/////w=="}, "AllocResp"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path: Path, changes: dict[str, object], where: str) -> None:
    with_entry(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=where):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    "content", [[], "text", None, 7, {"Data": {}}, {"Data": None, "Checksum": 0}, {"Data": {}, "Checksum": 1}]
)
def test_a_file_that_is_none_is_an_error_that_names_it(tmp_path: Path, content: object) -> None:
    put(tmp_path, content)
    with pytest.raises(CheckpointError, match=r"kubelet_internal_checkpoint: .*corrupted"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"[" * 100_000])
def test_a_file_that_is_no_json_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"kubelet_internal_checkpoint: .*corrupted"):
        checkpoint.read(tmp_path)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / checkpoint.FILE).mkdir()
    with pytest.raises(CheckpointError, match=r"kubelet_internal_checkpoint: Is a directory"):
        checkpoint.read(tmp_path)


def test_data_that_was_changed_by_hand_does_not_match_its_checksum(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, Checkpoint(registered={RESOURCE: ["a"]}))
    path = tmp_path / checkpoint.FILE
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(CheckpointError, match="expected checksum"):
        checkpoint.read(tmp_path)
