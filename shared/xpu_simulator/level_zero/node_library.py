"""A node's GPUs as the simulated library knows them, and what is wrong with them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from xpu_simulator.device import SimulatedDevice
from xpu_simulator.fabric.state import Port
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.level_zero.build import SONAME, compile_library
from xpu_simulator.level_zero.cards import card
from xpu_simulator.level_zero.faults import WELL, Fault
from xpu_simulator.level_zero.lines import VARIABLE, line, write


class NodeLibrary:
    """In the directory `root`: the scenario file that is kept like the node, and the library once somebody needs it."""

    def __init__(self, root: Path) -> None:
        self.path = root / SONAME
        self._scenario = root / "scenario"
        self._faults: dict[str, Fault] = {}  # by the GPU's name

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program that loads the library needs."""
        return {VARIABLE: str(self._scenario)}

    def compile(self) -> None:
        """Make the library; ImpossibleError when there is no compiler."""
        self.path.parent.mkdir(exist_ok=True)
        compile_library(self.path.parent)

    def show(
        self, devices: Iterable[SimulatedDevice], ports: Mapping[str, Sequence[Port]] = MappingProxyType({})
    ) -> None:
        """Tell of the GPUs among these devices, which are those that are there now; `ports` are by their names."""
        gpus = [device for device in devices if isinstance(device, Gpu)]
        self.path.parent.mkdir(exist_ok=True)
        cards = [text for gpu in gpus for text in card(gpu, self._faults.get(gpu.name, WELL), ports.get(gpu.name, ()))]
        write(self._scenario, [line("driver"), *cards])

    def fault(self, name: str, fault: Fault, *, clear: bool) -> Fault:
        """Add to what is wrong with a GPU, after all that was wrong is cleared if so asked; what is wrong now."""
        now = self._faults[name] = fault.over(WELL if clear else self._faults.get(name, WELL))
        return now
