"""Opens the library in one of its three ways and finds what it knows: drivers, and the handles of their devices."""

from collections.abc import Iterator, Sequence
from ctypes import byref
from dataclasses import dataclass, field

from xpu_shared.telemetry.kinds import Mode
from xpu_shared.telemetry.readings import SourceProblem
from xpu_sidecars.level_zero import results
from xpu_sidecars.level_zero.device_structures import CoreDeviceProperties
from xpu_sidecars.level_zero.library import CORE, SYSMAN, Library, enumerated

GPU_ONLY = 1  # a flag of zeInit
INTEL = 0x8086
FUNCTIONS = {Mode.SYSMAN: SYSMAN, Mode.LEGACY: CORE, Mode.WSL: CORE}


class UnavailableError(Exception):
    """There is nothing to sample; the text is the reason that is published."""


class LegacyNeededError(Exception):
    """This library or its driver wants zeInit, and ZES_ENABLE_SYSMAN in the environment from the start."""


@dataclass(slots=True)
class Found:
    """What the library knows. Handles are valid as long as the process lives."""

    devices: list[int] = field(default_factory=list)
    problems: list[SourceProblem] = field(default_factory=list)


def initialise(library: Library, mode: Mode) -> None:
    """Initialise the library, once in a process.

    Raises:
        UnavailableError, LegacyNeededError
    """
    missing = library.missing(FUNCTIONS[mode])
    if mode is Mode.SYSMAN and missing:
        raise LegacyNeededError
    if missing:
        raise UnavailableError(f"the library has no {', '.join(missing)}")
    name = FUNCTIONS[mode][0]
    code = library[name](GPU_ONLY if mode is Mode.WSL else 0)
    if mode is Mode.SYSMAN and code == results.UNSUPPORTED_FEATURE:
        raise LegacyNeededError
    if code == results.UNINITIALIZED:
        raise UnavailableError(f"{name}: {results.text(code)}: no Level-Zero driver, or none for these GPUs")
    if code:
        raise UnavailableError(f"{name}: {results.text(code)}")


def drivers(library: Library, mode: Mode) -> list[int]:
    """The drivers' handles, at least one.

    Raises:
        UnavailableError
    """
    name = FUNCTIONS[mode][1]
    code, handles = enumerated(library[name])
    if code:
        raise UnavailableError(f"{name}: {results.text(code)}")
    if not handles:
        raise UnavailableError("no driver: the library has found none for a GPU")
    return handles


def devices(library: Library, mode: Mode) -> Found:
    """The devices of all drivers, at least one; a driver in trouble costs only its own.

    Raises:
        UnavailableError
    """
    found = Found()
    name = FUNCTIONS[mode][2]
    for number, driver in enumerate(drivers(library, mode)):
        code, handles = enumerated(library[name], driver)
        if code:
            found.problems.append(SourceProblem(subject=f"driver {number}", text=f"{name}: {results.text(code)}"))
        found.devices += handles
    if not found.devices:
        texts = "".join(f"; {problem.subject}: {problem.text}" for problem in found.problems)
        raise UnavailableError(f"no GPU: the driver knows none{texts}")
    return found


def wsl_indices(library: Library) -> Sequence[int]:
    """The positions of Intel's devices among those of the first driver, whose numbers ZE_AFFINITY_MASK takes.

    Raises:
        UnavailableError
    """
    code, handles = enumerated(library["zeDeviceGet"], drivers(library, Mode.WSL)[0])
    if code:
        raise UnavailableError(f"zeDeviceGet: {results.text(code)}")
    if not handles:
        raise UnavailableError("no GPU: the driver knows none")
    return tuple(_intel(library, handles))


def _intel(library: Library, handles: Sequence[int]) -> Iterator[int]:
    for index, handle in enumerate(handles):
        properties = CoreDeviceProperties()
        if not library["zeDeviceGetProperties"](handle, byref(properties)) and properties.vendorId == INTEL:
            yield index
