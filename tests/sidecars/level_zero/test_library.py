"""The declarations against a real library: what it fills in arrives, and what it refuses shows in tests."""

import ctypes
import shutil
import sys
from ctypes import addressof, byref, c_uint32
from pathlib import Path

import pytest

from level_zero import BDF, Scenario
from xpu_shared.telemetry.kinds import Mode
from xpu_sidecars.level_zero import results
from xpu_sidecars.level_zero.component_structures import FabricPortState, RasState, TemperatureProperties
from xpu_sidecars.level_zero.library import PROTOTYPES, Library, LibraryError, enumerated, string, unsupported
from xpu_sidecars.level_zero.opening import (
    LegacyNeededError,
    UnavailableError,
    devices,
    drivers,
    initialise,
    wsl_indices,
)
from xpu_simulator.errors import ImpossibleError
from xpu_simulator.level_zero.build import SOURCE, compile_library
from xpu_simulator.level_zero.lines import line


def component(library: Library, enumeration: str) -> int:
    (device,) = devices(library, Mode.SYSMAN).devices
    _, (handle,) = enumerated(library[enumeration], device)
    return handle


def test_every_function_that_is_declared_is_there(library: Scenario) -> None:
    assert Library(str(library.library)).missing(list(PROTOTYPES)) == []


def test_handles_are_not_cut_to_32_bits(library: Scenario) -> None:
    opened = library.says(line("driver"), line("device", bdf=BDF)).open()
    (handle,) = devices(opened, Mode.SYSMAN).devices

    assert handle > 2**32
    assert opened["zesDeviceGetState"](handle & 0xFFFFFFFF, None) == 0x78000005


def test_a_fabric_port_of_the_worked_example(library: Scenario) -> None:
    opened = library.says(
        line("driver"),
        line("device", bdf=BDF),
        line("fabric", status=1, remote=(6, 1, 2), rate=53_000_000_000, lanes=4),
    ).open()
    state = FabricPortState()

    assert opened["zesFabricPortGetState"](component(opened, "zesDeviceEnumFabricPorts"), byref(state)) == 0

    content = bytes(state)
    assert content[:4] == bytes.fromhex("19000000")
    assert content[16:20] == bytes.fromhex("01000000")
    assert content[20:28] == bytes(8)
    assert content[28:32] == bytes.fromhex("06000000")
    assert content[32:37] == bytes.fromhex("0100000002")
    assert content[40:48] == bytes.fromhex("00d20b570c000000")
    assert content[48:52] == bytes.fromhex("04000000")
    assert (state.remotePortId.fabricId, state.remotePortId.attachId, state.remotePortId.portNumber) == (6, 1, 2)
    assert (state.rxSpeed.bitRate, state.rxSpeed.width, state.txSpeed.width) == (53_000_000_000, 4, 4)


def test_the_library_refuses_a_structure_of_no_type_and_clearing_errors(library: Scenario) -> None:
    opened = library.says(line("driver"), line("device", bdf=BDF), line("temperature"), line("ras")).open()
    untyped = TemperatureProperties()
    untyped.stype = 0
    assert (
        opened["zesTemperatureGetProperties"](component(opened, "zesDeviceEnumTemperatureSensors"), untyped)
        == 0x78000004
    )
    chained = TemperatureProperties()
    chained.pNext = addressof(untyped)
    assert (
        opened["zesTemperatureGetProperties"](component(opened, "zesDeviceEnumTemperatureSensors"), chained)
        == 0x78000004
    )
    assert opened["zesRasGetState"](component(opened, "zesDeviceEnumRasErrorSets"), 1, RasState()) == 0x78000004


def test_a_changed_scenario_is_read_at_once_and_a_broken_one_is_not(
    library: Scenario, capfd: pytest.CaptureFixture[str]
) -> None:
    opened = library.says(line("driver"), line("device", bdf=BDF), line("temperature", celsius=50)).open()
    sensor, value = component(opened, "zesDeviceEnumTemperatureSensors"), ctypes.c_double()

    library.says(line("driver"), line("device", bdf=BDF), line("temperature", celsius=112.5))
    assert (opened["zesTemperatureGetState"](sensor, value), value.value) == (0, 112.5)

    for broken in ("nonsense x=1", "temperature celsius=1", "driver\ndevice bdf=1 word", "driver\ndevice x=1"):
        library.path.with_name("broken").write_text(broken)
        library.path.with_name("broken").replace(library.path)
        assert (opened["zesTemperatureGetState"](sensor, value), value.value) == (0, 112.5)
    assert capfd.readouterr().err.count("the scenario stays as it was") == 4

    library.says(line("driver"))
    assert opened["zesTemperatureGetState"](sensor, value) == results.DEVICE_LOST


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Flex 170", "Flex 170"),
        (b"x" * 64, "x" * 64),  # ctypes gives 64 bytes without a NUL as they are
        (b"a\xff\xc3", "a��"),
        (b"", ""),
        (b" padded ", "padded"),
    ],
)
def test_texts_without_nul_or_of_strange_bytes(field: bytes, expected: str) -> None:
    assert string(field) == expected


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"library .*/libze_loader.so.1 cannot be loaded: .*No such file"):
        Library(str(tmp_path / "libze_loader.so.1"))


def test_a_library_of_another_machine(library: Scenario) -> None:
    content = bytearray(library.library.read_bytes())
    content[18:20] = (243).to_bytes(2, "little")  # the ELF header's machine: RISC-V
    library.library.write_bytes(content)

    with pytest.raises(LibraryError, match="cannot be loaded"):
        Library(str(library.library))


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "libze_loader.so.1").write_text("#!/bin/sh\n")
    with pytest.raises(LibraryError, match=r"invalid ELF header|file too short"):
        Library(str(tmp_path / "libze_loader.so.1"))


def test_a_function_that_the_library_lacks_is_an_unsupported_feature(old_library: Scenario) -> None:
    opened = Library(str(old_library.library))

    assert opened.missing(list(PROTOTYPES)) == ["zesInit", "zesDriverGet", "zesDeviceGet", "zesRasGetStateExp"]
    assert opened["zesRasGetStateExp"] is unsupported
    assert opened["zesRasGetStateExp"](1, c_uint32(), None) == results.UNSUPPORTED_FEATURE


def test_a_library_with_nothing_of_level_zero_in_it() -> None:
    libc = Library("libc.so.6")
    with pytest.raises(LegacyNeededError):
        initialise(libc, Mode.SYSMAN)
    with pytest.raises(UnavailableError, match="the library has no zeInit, zeDriverGet, zeDeviceGet"):
        initialise(libc, Mode.LEGACY)


def test_a_loader_without_zesinit_wants_the_legacy_way(old_library: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    old_library.says(line("driver"), line("device", bdf=BDF))
    with pytest.raises(LegacyNeededError):
        old_library.open()

    monkeypatch.setenv("ZES_ENABLE_SYSMAN", "1")
    opened = old_library.open(Mode.LEGACY)

    assert list(old_library.identities(opened, Mode.LEGACY)) == [BDF]


def test_a_driver_that_has_no_zesinit_wants_the_legacy_way(library: Scenario) -> None:
    with pytest.raises(LegacyNeededError):
        library.says(line("library", zesInit="0x78000003"), line("driver")).open()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([line("library", zesInit="0x78000001"), line("driver")], "zesInit: uninitialized .0x78000001.: no Level-Zero"),
        ([line("library", zesInit="0x78000002"), line("driver")], "zesInit: unsupported version .0x78000002."),
        ([], "zesInit: uninitialized"),
        ([line("library", zesDriverGet="0x70000002"), line("driver")], "zesDriverGet: out of host memory"),
        ([line("library")], "no driver"),
        ([line("driver")], "no GPU: the driver knows none"),
        ([line("driver", zesDeviceGet="0x70020000"), line("device", bdf=BDF)], "no GPU.*dependency unavailable"),
    ],
)
def test_nothing_to_read_has_a_reason(library: Scenario, lines: list[str], reason: str) -> None:
    library.says(*lines)
    with pytest.raises(UnavailableError, match=reason):
        devices(library.open(), Mode.SYSMAN)


def test_all_drivers_are_asked_and_one_in_trouble_costs_only_its_own(library: Scenario) -> None:
    opened = library.says(
        line("driver"),
        line("device", bdf="0000:03:00.0"),
        line("driver", zesDeviceGet="0x78000001"),
        line("device", bdf="0000:04:00.0"),
        line("driver"),
        line("device", bdf="0000:05:00.0"),
    ).open()

    found = devices(opened, Mode.SYSMAN)

    assert (len(drivers(opened, Mode.SYSMAN)), len(found.devices)) == (3, 2)
    assert [problem.subject for problem in found.problems] == ["driver 1"]
    assert list(library.identities(opened)) == ["0000:03:00.0", "0000:05:00.0"]


@pytest.mark.parametrize("extra", [1, 7])
def test_devices_that_go_between_counting_and_listing(library: Scenario, extra: int) -> None:
    opened = library.says(line("driver", extra=extra), line("device", bdf=BDF)).open()
    assert len(devices(opened, Mode.SYSMAN).devices) == 1


def test_indices_of_wsl_are_positions_among_all_devices(library: Scenario) -> None:
    vendors = [0x8086, 0x10DE, *[0x8086] * 10]
    library.says(
        line("driver"),
        *(line("device", bdf=f"0000:{place:02x}:00.0", vendor=hex(v)) for place, v in enumerate(vendors)),
    )

    assert wsl_indices(library.open(Mode.WSL)) == (0, *range(2, 12))  # more than the eight of the reference


def test_a_device_that_fails_in_wsl_costs_only_itself(library: Scenario) -> None:
    library.says(
        line("driver"),
        line("device", bdf="0000:00:00.0", zeDeviceGetProperties="0x70000001"),
        line("device", bdf="0000:01:00.0"),
    )
    assert wsl_indices(library.open(Mode.WSL)) == (1,)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([line("library")], "no driver"),
        ([line("driver")], "no GPU"),
        ([line("driver", zeDeviceGet="0x70000001")], "zeDeviceGet: device lost"),
    ],
)
def test_wsl_without_devices_has_a_reason(library: Scenario, lines: list[str], reason: str) -> None:
    with pytest.raises(UnavailableError, match=reason):
        wsl_indices(library.says(*lines).open(Mode.WSL))


def test_a_compiler_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImpossibleError, match=f"cannot compile {SOURCE.name}"):
        compile_library(tmp_path, command=["false"])
    with pytest.raises(ImpossibleError, match="no-such-compiler"):
        compile_library(tmp_path, command=["no-such-compiler"])


def test_a_machine_without_a_compiler_uses_the_one_that_installs_as_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    from xpu_simulator.level_zero import build

    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert build.compiler()[1:] == ["-m", "ziglang", "cc"]

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImpossibleError, match="install gcc or clang, or ziglang"):
        build.compiler()


def test_the_compiler_that_installs_as_a_wheel_makes_the_same_library(tmp_path: Path) -> None:
    made = compile_library(tmp_path, command=[sys.executable, "-m", "ziglang", "cc"])
    assert Library(str(made)).missing(list(PROTOTYPES)) == []
