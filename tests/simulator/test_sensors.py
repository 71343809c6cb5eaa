"""GPUs as the simulated library tells of them: every model with its sensors, and everything that can be wrong."""

import shutil
from pathlib import Path

import pytest

from xpu_shared.telemetry.kinds import MemoryHealth, MemoryKind, Mode, TemperatureKind, Verdict
from xpu_shared.telemetry.readings import DeviceReading
from xpu_sidecars.level_zero.device import SampledDevice
from xpu_sidecars.level_zero.identity import identify, merged
from xpu_sidecars.level_zero.library import Library
from xpu_sidecars.level_zero.opening import UnavailableError, devices, initialise
from xpu_simulator.errors import UnknownDeviceError
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.families.gpu.models import MODELS
from xpu_simulator.level_zero.build import compile_library
from xpu_simulator.level_zero.cards import card
from xpu_simulator.level_zero.faults import WELL, Fault
from xpu_simulator.level_zero.lines import VARIABLE
from xpu_simulator.node import Node
from xpu_simulator.simulated_node import SimulatedNode


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_library(tmp_path_factory.mktemp("level-zero"))


def readings(
    node: SimulatedNode, compiled: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, DeviceReading]:
    """What the node's library tells, opened anew."""
    monkeypatch.setenv(VARIABLE, node.library.environment[VARIABLE])
    opened = Library(str(shutil.copy(compiled, directory / f"{len(list(directory.iterdir()))}.so")))
    initialise(opened, Mode.SYSMAN)
    handles = merged([identify(opened, handle) for handle in devices(opened, Mode.SYSMAN).devices])
    return {address: SampledDevice(opened, group, 1.0).round(0.0) for address, group in handles.items()}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_well_and_has_what_it_can_have(
    model: str, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = SimulatedNode(Node(gpus=[Gpu(model=model)]), tmp_path / "node")
    ((address, found),) = readings(node, compiled, tmp_path, monkeypatch).items()

    known = MODELS[model]
    assert (address, found.device_id, found.model) == (Gpu(model=model).pci_address, known.pci_id, known.title)
    assert {verdict.verdict for verdict in (found.memory_ok, found.bus_ok, found.soc_ok)} == {Verdict.OK}
    assert found.integrated is known.integrated
    assert len(found.frequencies) == known.tiles
    assert found.uuid
    assert not any(status.last_error for status in found.groups.values())
    if not known.integrated:
        assert found.subdevices == (known.tiles if known.tiles > 1 else 0)
        assert sum(module.physical_bytes or 0 for module in found.memory) == known.memory_gib * known.tiles << 30
        assert {module.kind for module in found.memory} == {MemoryKind.HBM if known.hbm else MemoryKind.GDDR6}
        assert found.power[0].sustained_limit_watts == known.watts


def test_what_is_wrong_shows_and_is_over_when_it_is_cleared(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = SimulatedNode(Node(gpus=[Gpu(), Gpu(card=1)]), tmp_path / "node")
    everything = Fault(temperature=112, memory_health="replace", bus=True, wedged=True)

    node.fault("gpu1", everything)
    well, ill = readings(node, compiled, tmp_path, monkeypatch).values()
    assert well.memory_ok.verdict is Verdict.OK
    for kind in (TemperatureKind.GLOBAL, TemperatureKind.GPU):
        hottest = ill.highest(kind)
        assert hottest is not None
        assert hottest.celsius == 112
    assert [module.health for module in ill.memory] == [MemoryHealth.REPLACE]
    assert {verdict.verdict for verdict in (ill.memory_ok, ill.bus_ok, ill.soc_ok)} == {Verdict.FAILED}
    assert (ill.state.wedged, ill.pci.speed_issues, ill.pci.generation) == (True, True, 1)

    node.fault("gpu1", Fault(lost=True), clear=True)
    assert list(readings(node, compiled, tmp_path, monkeypatch).values())[1].state.lost_rounds == 1

    assert node.fault("gpu1", WELL, clear=True) == WELL
    _, cleared = readings(node, compiled, tmp_path, monkeypatch).values()
    assert {verdict.verdict for verdict in (cleared.memory_ok, cleared.bus_ok, cleared.soc_ok)} == {Verdict.OK}


def test_the_library_knows_the_gpus_that_are_there_and_driven(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = [Gpu(), Gpu(card=1), Gpu(card=2, vendor=0x1A03, pci_id=0x2000, driver="ast", render="none")]
    node = SimulatedNode(Node(gpus=gpus), tmp_path / "node")
    assert list(readings(node, compiled, tmp_path, monkeypatch)) == ["0000:12:00.0", "0000:22:00.0"]

    node.rebind("gpu0", "vfio-pci")
    assert list(readings(node, compiled, tmp_path, monkeypatch)) == ["0000:22:00.0"]

    node.remove("gpu1")
    with pytest.raises(UnavailableError, match="no GPU"):
        readings(node, compiled, tmp_path, monkeypatch)

    node.add("gpu1")
    assert list(readings(node, compiled, tmp_path, monkeypatch)) == ["0000:22:00.0"]


def test_calls_hang_and_crash_where_the_fault_says(tmp_path: Path) -> None:
    hanging, crashing = ("\n".join(card(Gpu(), fault)) for fault in (Fault(hang=True), Fault(crash=True)))
    assert "zesDeviceGetState=hang" in hanging
    assert "zesDeviceGetState=crash" in crashing


def test_only_gpus_have_faults(tmp_path: Path) -> None:
    node = SimulatedNode(Node(gpus=[Gpu()]), tmp_path)
    with pytest.raises(UnknownDeviceError, match="no device 'gpu7'"):
        node.fault("gpu7", WELL)
