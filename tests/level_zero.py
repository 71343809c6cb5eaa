"""The simulated Level-Zero library for tests: a scenario of lines, and devices as the library tells of them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from xpu_shared.telemetry.kinds import Mode
from xpu_shared.telemetry.readings import DeviceReading
from xpu_sidecars.level_zero.device import SampledDevice
from xpu_sidecars.level_zero.identity import Identity, identify, merged
from xpu_sidecars.level_zero.library import Library
from xpu_sidecars.level_zero.opening import devices, initialise
from xpu_simulator.level_zero.lines import VARIABLE, line, write

BDF = "0000:3b:00.0"


@dataclass
class Scenario:
    """A library of its own for one test: loaded from a path of its own, it is another one to the linker."""

    library: Path
    path: Path

    def says(self, *lines: str) -> "Scenario":
        write(self.path, lines)
        return self

    def open(self, mode: Mode = Mode.SYSMAN) -> Library:
        opened = Library(str(self.library))
        initialise(opened, mode)
        return opened

    def identities(self, library: Library, mode: Mode = Mode.SYSMAN) -> dict[str, Sequence[Identity]]:
        return merged([identify(library, handle) for handle in devices(library, mode).devices])

    def device(self, *components: str, **values: object) -> SampledDevice:
        """The only device of a scenario, with these components."""
        self.says(line("driver"), line("device", **{"bdf": BDF, **values}), *components)
        library = self.open()
        (handles,) = self.identities(library).values()
        return SampledDevice(library, handles, interval=1.0)


def scenario(compiled: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    path = directory / "level-zero"
    monkeypatch.setenv(VARIABLE, str(path))
    return Scenario(library=Path(shutil.copy(compiled, directory)), path=path)


def after(device: SampledDevice, *rounds: float) -> DeviceReading:
    """The reading of the last of rounds at these times."""
    return [device.round(now) for now in rounds][-1]
