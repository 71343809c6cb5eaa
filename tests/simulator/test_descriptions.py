from pathlib import Path

import pytest

from xpu_simulator.descriptions import node_examples, read_generator, read_node, read_scenario, scenario_examples
from xpu_simulator.errors import UsageError
from xpu_simulator.node import Gpu, Node

NODE = Node(gpus=[Gpu(), Gpu(card=1)])


def test_a_name_without_a_file_is_a_shipped_example() -> None:
    assert [gpu.numa_node for gpu in read_node("four-gpus").gpus] == [0, 0, 1, 1]


def test_every_shipped_example_can_be_used() -> None:
    assert node_examples() == ["2x4-PVC-xelink", "8x-DG1", "8x2-PVC-xelink", "four-gpus", "two-islands", "xeon"]
    assert [len(read_node(name).gpus) for name in node_examples()] == [2, 8, 8, 4, 8, 0]
    assert scenario_examples() == ["demo", "xelink", "xeon"]
    for scenario, node in (("demo", "four-gpus"), ("xelink", "two-islands"), ("xeon", "xeon")):
        assert read_scenario(scenario, read_node(node)).steps


def test_a_file_comes_before_an_example_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "four-gpus").write_text("gpus: []")
    monkeypatch.chdir(tmp_path)
    assert read_node("four-gpus").gpus == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ":1: expected gpus"),
        ("gpus", ":1: expected gpus"),
        ("gpus: 4", ":1: gpus: a valid list, found 4"),
        ("{}", ":1: the document: expected devices: one of the keys gpus"),
        ("cpus_per_numa_node: 8", ":1: the document: expected devices: one of the keys gpus"),
        ("gpus: [", ":1: "),
        ("gpus: []\ngpus: []", ":2: key 'gpus' is given twice"),
        ("gpus: []\n\nspeed: fast", ":3: unknown key 'gpus.speed'".replace("gpus.", "")),
        ("gpus:\n  - model: flex-170\n  - modell: flex-170", ":3: unknown key 'gpus.1.modell'"),
        ("gpus:\n  - {}\n  - card: 0", ":1: the document: card 0 is that of gpus.0 and of gpus.1"),
        (
            "gpus:\n  - render: nothing",
            ":2: gpus.0.render: expected a number from 128 to 255, or none, found 'nothing'",
        ),
        ("gpus:\n  - card: one", ":2: gpus.0.card: a valid integer, found 'one'"),
        (
            "gpus:\n  - {card: 1,\n     pci_address: '17:00.0'}",
            ":3: gpus.0.pci_address: expected a PCI address such as",
        ),
        ("gpus:\n  - pci_address: 0000:17:00.0", ":2: gpus.0.pci_address: a PCI address needs quotes"),
        ("gpus:\n  - model: flex", ":2: gpus.0.model: the known models are"),
        ("gpus:\n  - driver: i195", ":2: gpus.0: driver 'i195': Intel's cards have"),
        ("gpus: !!python/object:os.system {}", ":1: "),
        ("\x00", ": "),
    ],
)
def test_a_bad_node_is_refused_in_one_line_with_file_and_line(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(text)

    with pytest.raises(UsageError) as failure:
        read_node(str(path))

    assert str(failure.value).startswith(f"{path}{error}")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("steps: []", ":1: steps: "),
        ("steps:\n- {}", ":2: steps.0: a step needs expect or one of"),
        ("steps:\n- add_gpu: gpu0\n- pause: 1", ":3: unknown key 'steps.1.pause'"),
        ("steps:\n- add_gpu: gpu0\n\n- remove_gpu: gpu9", ":4: no device 'gpu9'; there are gpu0, gpu1"),
        (
            "steps:\n- rebind: {device: gpu0, driver: nouveau}",
            ":2: driver 'nouveau' of gpu0: expected i915, xe, vfio-pci",
        ),
        ("steps:\n- expect: {card: 1}", ":2: steps.0.expect.card"),
    ],
)
def test_a_bad_scenario_is_refused_in_one_line_with_file_and_line(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)

    with pytest.raises(UsageError) as failure:
        read_scenario(str(path), NODE)

    assert str(failure.value).startswith(f"{path}{error}")
    assert "\n" not in str(failure.value)


def test_a_missing_file_says_which_examples_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"nothing\.yaml: no such file, and no example; there are 2x4-PVC-xelink, 8x-DG1,"
    ):
        read_node(str(tmp_path / "nothing.yaml"))


def test_a_directory_is_no_description(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{tmp_path}: Is a directory"):
        read_node(str(tmp_path))


def test_bytes_that_are_no_text_are_no_description(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_bytes(b"gpus: \xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_node(str(path))


def test_a_generators_configuration_is_a_node(tmp_path: Path) -> None:
    path = tmp_path / "fake.json"
    path.write_text(
        '{"devcount": 4, "VFSPERPF": 1, "DevMemSize": 2097152, "Unknown": [], "Info": null,\t"driver": "xe"}'
    )

    node = read_node(str(path))

    assert [(gpu.card, gpu.vfs, gpu.driver, gpu.memory_bytes) for gpu in node.gpus] == [
        (0, 1, "xe", 2097152),
        (2, 1, "xe", 2097152),
    ]


def test_a_generators_devices_may_differ(tmp_path: Path) -> None:
    path = tmp_path / "fake.yaml"
    path.write_text("DevCount: 2\nDeviceId: '0x56c0'\nDevices:\n- {card: 1, driver: xe, numa_node: -1, mei: [7]}")

    left, right = read_node(str(path)).gpus

    assert (left.driver, left.numa_node, left.pci_id) == ("i915", 0, 0x56C0)
    assert (right.driver, right.numa_node, right.mei) == ("xe", -1, [7])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"DevCount": 0}', ":1: DevCount: greater than or equal to 1, found 0"),
        ('{"DevCount": 129}', ":1: DevCount: less than or equal to 128, found 129"),
        ('{"DevCount": "8"}', ":1: DevCount: a valid integer, found '8'"),
        ('{"DevCount": true}', ":1: DevCount: a valid integer, found True"),
        ('{"DevCount": 1,\n "devcount": 2}', ":2: field DevCount is given twice, the second time as devcount"),
        ('{"DevCount": 1,\n "tilesperdev": -1}', ":2: TilesPerDev: greater than or equal to 0, found -1"),
        ('{"DevCount": 1, "DevMemSize": 1000}', ":1: DevMemSize: a multiple of 1048576, found 1000"),
        ('{"DevCount": 1, "DevMemSize": -1048576}', ":1: DevMemSize: greater than or equal to 0, found -1048576"),
        ('{"DevCount": 1, "DevsPerNode": 2}', ":1: the document: DevsPerNode 2: expected at most DevCount, 1"),
        ('{"DevCount": 2, "VfsPerPf": 1, "TilesPerDev": 1}', ":1: the document: TilesPerDev 1: expected 0 because of"),
        ('{"DevCount": 2, "VfsPerPf": 1, "DevsPerNode": 1}', ":1: the document: DevsPerNode 1: expected 0 because of"),
        ('{"DevCount": 3, "VfsPerPf": 1}', ":1: the document: DevCount 3: expected a multiple of VfsPerPf + 1, 2"),
        ('{"DevCount": 1, "Capabilities": ["a"]}', ":1: Capabilities: a valid dictionary"),
        ('{"DevCount": 1, "Capabilities": {"a": 1}}', ":1: Capabilities.a: a valid string, found 1"),
        ('{"DevCount": 1, "Capabilities": {"a": "b\\nc"}}', ":1: Capabilities: 'a': expected a text of one line"),
        ('{"DevCount": 1, "Capabilities": {"connections": "0.0;rm"}}', ":1: Capabilities: connections: expected pairs"),
        ('{"DevCount": 1, "Driver": "ast"}', ":1: Driver: 'i915' or 'xe', found 'ast'"),
        ('{"DevCount": 1, "Devices": [{"card": 1}]}', ":1: Devices: card 1: expected one of 0"),
        ('{"DevCount": 1, "Devices": [{"card": 0, "color": "red"}]}', ":1: unknown key 'gpus.0.color'"),
        ('{"DevCount": 1, "DevCount": 2}', ":1: key 'DevCount' is given twice"),
        ('{"DevCount": 1', ":1: "),
    ],
)
def test_a_bad_generators_configuration_is_refused_in_one_line(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "fake.json"
    path.write_text(text)

    with pytest.raises(UsageError) as failure:
        read_node(str(path))

    assert str(failure.value).startswith(f"{path}{error}")
    assert "\n" not in str(failure.value)


def test_what_is_no_generators_configuration_says_what_would_be_one() -> None:
    with pytest.raises(UsageError, match=r"DevCount: Field required"):
        read_generator("four-gpus")
