"""A device round after round: what each group tells, and what results of calls lead to."""

import math

import pytest

from level_zero import BDF, Scenario, after
from xpu_shared.telemetry.kinds import (
    EngineKind,
    FrequencyKind,
    Group,
    LinkStatus,
    MemoryHealth,
    MemoryKind,
    MemoryLocation,
    PowerKind,
    RasSeverity,
    TemperatureKind,
    ThrottleReason,
    Verdict,
)
from xpu_shared.telemetry.readings import DeviceReading, Firmware, TemperatureSensor
from xpu_sidecars.level_zero.device import SampledDevice
from xpu_simulator.level_zero.lines import line


def test_health_of_the_worked_example(library: Scenario) -> None:
    degraded, critical, sound = (line("memory", health=health, size=1 << 34) for health in (2, 3, 1))

    first = after(library.device(degraded, critical, pci_status=2, pci_quality=1), 0)
    assert (first.memory_ok.verdict, first.bus_ok.verdict, first.soc_ok.verdict) == (
        Verdict.FAILED,
        Verdict.OK,
        Verdict.OK,
    )
    assert first.memory_ok.reason == "module 1: critical"
    assert [module.health for module in first.memory] == [MemoryHealth.DEGRADED, MemoryHealth.CRITICAL]

    library.says(line("driver"), line("device", bdf=BDF, pci_status=2, pci_quality=3), sound, degraded)
    second = after(library.device(sound, degraded, pci_status=2, pci_quality=3), 0)
    assert (second.memory_ok.verdict, second.bus_ok.verdict) == (Verdict.OK, Verdict.FAILED)


def test_temperature_of_the_worked_example(library: Scenario) -> None:
    device = library.device(
        line("temperature", type=1, subdevice=0, celsius=61.5),
        line("temperature", type=1, subdevice=1, celsius=103.2),
        line("temperature", type=2, subdevice=0, celsius=70.0),
    )
    found = after(device, 0)

    assert found.temperatures == (
        TemperatureSensor(kind=TemperatureKind.GPU, subdevice=0, celsius=61.5),
        TemperatureSensor(kind=TemperatureKind.GPU, subdevice=1, celsius=103.2),
        TemperatureSensor(kind=TemperatureKind.MEMORY, subdevice=0, celsius=70.0),
    )
    hottest = found.highest(TemperatureKind.GPU)
    assert hottest is not None
    assert (hottest.celsius, hottest.subdevice) == (103.2, 1)
    assert found.highest(TemperatureKind.GLOBAL) is None
    assert found.groups[Group.TEMPERATURE].last_error is None


def test_power_of_the_worked_example(library: Scenario) -> None:
    device = library.device(
        line("power", domain=1, energy=(5_000_000, 155_000_000), timestamp=(1_000_000, 2_500_000), limit=300_000)
    )
    (before,), (found,) = after(device, 0).power, after(device, 1).power

    assert (before.watts, before.energy_joules) == (None, 5.0)
    assert (found.watts, found.energy_joules, found.kind) == (100.0, 155.0, PowerKind.CARD)
    assert (found.sustained_limit_watts, found.burst_limit_watts) == (300.0, None)


def test_a_limit_in_amperes_or_switched_off_is_no_limit_in_watts(library: Scenario) -> None:
    device = library.device(
        line("power", limit=1000, unit=1), line("power", limit=1000, enabled=0), line("power", level=3, limit=-1)
    )
    assert [domain.sustained_limit_watts for domain in after(device, 0).power] == [None, None, None]


def test_engines_of_the_worked_example(library: Scenario) -> None:
    device = library.device(line("engine", type=1, active=(1_000, 1_450), timestamp=(10_000, 11_000)))
    (found,) = after(device, 0, 1).engines
    assert found.kind is EngineKind.COMPUTE_ALL
    assert found.utilisation == pytest.approx(0.45)


def test_memory_of_the_worked_example(library: Scenario) -> None:
    device = library.device(line("memory", type=0, size=17_079_205_888, free=3_221_225_472, channels=8))
    (found,) = after(device, 0).memory

    assert (found.kind, found.location) == (MemoryKind.HBM, MemoryLocation.DEVICE)
    assert (found.physical_bytes, found.used_bytes, found.channels) == (None, 13_857_980_416, 8)


def test_memory_bandwidth_counts_both_directions(library: Scenario) -> None:
    device = library.device(
        line("memory", size=1, read=(0, 3_000_000), write=(0, 1_000_000), timestamp=(500_000, 1_000_000))
    )
    (found,) = after(device, 0, 1).memory
    assert (found.throughput_bytes_per_second, found.read_bytes, found.written_bytes) == (
        8_000_000,
        3_000_000,
        1_000_000,
    )


def test_a_counter_that_wraps_is_no_reset(library: Scenario) -> None:
    device = library.device(line("power", energy=(2**64 - 50_000_000, 50_000_000), timestamp=(1, 1_000_001)))
    assert after(device, 0, 1).power[0].watts == 100.0
    assert device.tallies[Group.POWER].dropped_samples == 0


def test_a_counter_that_was_reset_costs_one_sample(library: Scenario) -> None:
    device = library.device(line("power", energy=(900_000_000, 0, 100_000_000), timestamp=(1, 1_000_001, 2_000_001)))
    assert [after(device, now).power[0].watts for now in range(3)] == [None, None, 100.0]
    assert device.tallies[Group.POWER].dropped_samples == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 251, -61, -999])
def test_a_temperature_that_cannot_be_is_dropped_and_counted(library: Scenario, value: float) -> None:
    device = library.device(line("temperature", type=1, celsius=(value, 70)))

    assert [after(device, now).temperatures[0].celsius for now in range(2)] == [None, 70]
    assert device.tallies[Group.TEMPERATURE].dropped_samples == 1


@pytest.mark.parametrize("value", [1e305, 1e7, math.inf, math.nan])
def test_a_frequency_that_cannot_be_is_dropped_and_counted(library: Scenario, value: float) -> None:
    device = library.device(line("frequency", actual=(value, 1150), request=2050))

    assert [after(device, now).frequencies[0].actual_hertz for now in range(2)] == [None, 1_150_000_000]
    assert device.tallies[Group.FREQUENCY].dropped_samples == 1


@pytest.mark.parametrize("outcome", ["0x78000003", "0x70010000", "0x7ffffffe"])
def test_a_memory_module_that_fails_counts_although_it_cannot_be_described(library: Scenario, outcome: str) -> None:
    device = library.device(line("memory", health=(3, 1), size=1 << 30, kind=0, zesMemoryGetProperties=outcome))
    first, second = after(device, 0), after(device, 1)

    (module,) = first.memory
    assert (module.health, module.kind, module.location) == (
        MemoryHealth.CRITICAL,
        MemoryKind.UNKNOWN,
        MemoryLocation.UNKNOWN,
    )
    assert (first.memory_ok.verdict, second.memory_ok.verdict) == (Verdict.FAILED, Verdict.OK)
    assert second.memory_bytes == 1 << 30


def test_frequency_and_why_it_is_low(library: Scenario) -> None:
    device = library.device(
        line(
            "frequency",
            type=0,
            min=300,
            max=2050,
            set_max=1700,
            actual=1150,
            request=2050,
            throttle=0b1001,
            throttle_time=(0, 250_000),
            timestamp=(0, 1_000_000),
        ),
        line("frequency", type=1, actual=-1, request=-1),
    )
    gpu, memory = after(device, 0, 1).frequencies

    assert (gpu.kind, gpu.actual_hertz, gpu.requested_hertz) == (FrequencyKind.GPU, 1_150_000_000, 2_050_000_000)
    assert (gpu.min_hertz, gpu.max_hertz) == (300_000_000, 1_700_000_000)
    assert set(gpu.throttle_reasons or ()) == {ThrottleReason.AVERAGE_POWER, ThrottleReason.THERMAL_LIMIT}
    assert gpu.throttled_ratio == 0.25
    assert (memory.kind, memory.actual_hertz, memory.throttle_reasons) == (FrequencyKind.MEMORY, None, frozenset())


def test_the_pci_link_with_what_it_could_carry(library: Scenario) -> None:
    device = library.device(
        pci_status=3,
        pci_stability=1,
        pci_gen=3,
        pci_width=8,
        pci_replays=5,
        pci_rx=(0, 10_000_000),
        pci_tx=(0, 20_000_000),
        timestamp=(0, 1_000_000),
    )
    found = after(device, 0, 1).pci

    assert (found.status, found.retraining_issues, found.speed_issues) == (LinkStatus.STABILITY_ISSUES, True, False)
    assert (found.generation, found.lanes, found.max_generation, found.max_lanes) == (3, 8, 4, 16)
    assert (found.received_bytes, found.transmitted_bytes, found.replays) == (10_000_000, 20_000_000, 5)
    assert found.throughput_bytes_per_second == 30_000_000


def test_a_link_that_counts_nothing_has_no_throughput(library: Scenario) -> None:
    found = after(library.device(), 0, 1).pci
    assert (found.received_bytes, found.throughput_bytes_per_second, found.replays) == (None, None, None)


def test_errors_by_category_and_those_that_newer_drivers_know(library: Scenario) -> None:
    device = library.device(
        line("ras", type=0, cache=4, memory=9),
        line("ras", type=1, subdevice=1, compute=2, memory=9, exp=1),
    )
    correctable, uncorrectable = after(device, 0).ras

    assert (correctable.severity, correctable.cache_errors, correctable.memory_errors) == (
        RasSeverity.CORRECTABLE,
        4,
        None,
    )
    assert (uncorrectable.severity, uncorrectable.subdevice) == (RasSeverity.UNCORRECTABLE, 1)
    assert (uncorrectable.compute_errors, uncorrectable.memory_errors) == (2, 9)


def test_firmware_versions(library: Scenario) -> None:
    device = library.device(
        line("firmware", name="GSC", version="102.0.0.1"),
        line("firmware", name="OPROM", zesFirmwareGetProperties="0x70010000"),
    )
    assert after(device, 0).firmwares == (Firmware(name="GSC", version="102.0.0.1"),)


def test_groups_have_their_own_periods(library: Scenario) -> None:
    device = library.device(
        line("temperature", celsius=tuple(range(40, 60))), line("ras", reset=tuple(range(20))), line("firmware")
    )
    readings = [device.round(now) for now in (0, 1.01, 2, 3.02, 4, 5.01, 6)]

    assert [reading.temperatures[0].celsius for reading in readings] == [40, 41, 42, 43, 44, 45, 46]
    assert [reading.ras[0].resets for reading in readings] == [0, 0, 0, 0, 0, 1, 1]
    assert readings[4].groups[Group.RAS].age == 4
    assert readings[-1].groups[Group.FIRMWARE].age == 6


def test_an_integrated_gpu_lacks_much_and_is_well(library: Scenario) -> None:
    found = after(library.device(line("frequency"), integrated=1), 0)

    assert (found.integrated, found.memory, found.temperatures, found.memory_bytes) == (True, (), (), None)
    assert (found.memory_ok.verdict, found.soc_ok.verdict) == (Verdict.OK, Verdict.OK)


def calls_of(library: Scenario, device: SampledDevice) -> int:
    return sum(tally.failed_calls for tally in device.tallies.values())


@pytest.mark.parametrize("code", ["0x78000003", "0x70010001", "0x70020000", "0x70010000"])
def test_what_can_never_work_is_asked_once(library: Scenario, code: str) -> None:
    device = library.device(
        line("temperature", zesTemperatureGetState=code),
        line("temperature", celsius=50),
        line("engine", zesEngineGetProperties=code),
    )
    found = after(device, *range(20))

    assert [sensor.celsius for sensor in found.temperatures] == [None, 50]
    assert found.engines == ()
    assert device.tallies[Group.TEMPERATURE].failed_calls == 1
    assert device.tallies[Group.ENGINE].failed_calls == 1
    error = found.groups[Group.ENGINE].last_error
    assert error is not None
    assert error.code == int(code, 16)


def test_a_missing_permission_comes_with_a_hint(library: Scenario) -> None:
    device = library.device(
        line("engine", zesEngineGetActivity="0x70010000"), line("power", zesPowerGetEnergyCounter="0x70010000")
    )
    after(device, 0, 1)

    assert sorted(device.calls.denied) == [
        "zesEngineGetActivity: insufficient permissions (0x70010000): the container needs CAP_PERFMON or CAP_SYS_ADMIN",
        "zesPowerGetEnergyCounter: insufficient permissions (0x70010000): run as root, so that "
        "/sys/class/intel_pmt/telem*/telem can be read",
    ]


@pytest.mark.parametrize("code", ["0x1", "0x70000007"])
def test_a_device_that_sleeps_skips_the_sample(library: Scenario, code: str) -> None:
    device = library.device(line("temperature", celsius=(50, 51), zesTemperatureGetState=("0", code, "0")))
    first, asleep, awake = (device.round(now) for now in range(3))

    assert [reading.temperatures[0].celsius for reading in (first, asleep, awake)] == [50, 50, 51]
    assert asleep.groups[Group.TEMPERATURE].age == 1
    assert asleep.groups[Group.TEMPERATURE].last_error
    assert awake.groups[Group.TEMPERATURE].age == 0
    assert awake.groups[Group.TEMPERATURE].last_error is None


def test_other_errors_are_asked_more_and_more_rarely(library: Scenario) -> None:
    device = library.device(line("temperature", zesTemperatureGetState="0x7ffffffe"))
    asked = []
    for now in range(200):
        before = calls_of(library, device)
        device.round(now)
        if calls_of(library, device) > before:
            asked.append(now)

    assert asked == [0, 2, 6, 14, 30, 62, 122, 182]


def test_one_sensor_in_trouble_costs_only_itself(library: Scenario) -> None:
    device = library.device(
        line("temperature", celsius=50, zesTemperatureGetState=("0", "0x7ffffffe", "0x7ffffffe")),
        line("temperature", celsius=(60, 61, 62)),
    )
    found = after(device, 0, 1)

    assert [sensor.celsius for sensor in found.temperatures] == [None, 61]
    assert found.groups[Group.TEMPERATURE].age == 0


@pytest.mark.parametrize("call", ["zesDeviceEnumTemperatureSensors", "zesTemperatureGetProperties"])
def test_components_that_cannot_be_found_now_are_found_later(library: Scenario, call: str) -> None:
    device = library.device(line("temperature", celsius=50), **{call: ("0x7ffffffe", "0")})
    assert [len(device.round(now).temperatures) for now in range(4)] == [0, 0, 1, 1]


def test_a_device_that_slept_when_it_was_asked_who_it_is_is_asked_again(library: Scenario) -> None:
    asleep = {"zesDeviceGetProperties": ("0x1", "0x1", "0")}
    device = library.device(line("temperature", celsius=50), model="Flex", subdevices=2, **asleep)
    readings = [device.round(now) for now in (0, 1, 5)]

    assert [(reading.model, reading.subdevices) for reading in readings] == [("", None), ("", None), ("Flex", 2)]
    assert {len(reading.temperatures) for reading in readings} == {1}


def test_components_that_go_between_counting_and_listing(library: Scenario) -> None:
    assert len(after(library.device(line("temperature"), line("memory", size=1), extra=3), 0).temperatures) == 1


def test_a_lost_device_is_lost_until_it_answers(library: Scenario) -> None:
    lost = "0x70000001"
    device = library.device(line("temperature", celsius=(50, 51, 52)), zesDeviceGetState=("0", lost, lost, "0"))
    readings = [device.round(now) for now in range(4)]

    assert [reading.state.lost_rounds for reading in readings] == [0, 1, 2, 0]
    assert [reading.soc_ok.verdict for reading in readings] == [Verdict.OK, Verdict.FAILED, Verdict.FAILED, Verdict.OK]
    assert readings[2].soc_ok.reason == "device lost"
    assert readings[2].temperatures[0].celsius == 50  # the rest of such a round is left out
    assert readings[2].groups[Group.TEMPERATURE].age == 2


def test_a_device_that_is_lost_in_the_middle_of_a_round(library: Scenario) -> None:
    found = after(
        library.device(line("memory", size=1, zesMemoryGetState="0x70000001"), line("temperature", celsius=50)), 0
    )
    assert (found.state.lost_rounds, found.temperatures[0].celsius, found.power) == (1, 50, ())


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"reset": 1}, "wedged"),
        ({"reset": 2, "repaired": 1}, "has to be repaired"),
        ({"reset": 3}, "wedged, has to be repaired"),
        ({"zesDevicePciGetState": "0x70000006"}, "has to be reset"),
        ({"zesDevicePciGetState": "0x78000020"}, "in survivability mode"),
    ],
)
def test_a_device_in_need_says_of_what(library: Scenario, values: dict[str, object], reason: str) -> None:
    found = after(library.device(**values), 0)
    assert (found.soc_ok.verdict, found.soc_ok.reason) == (Verdict.FAILED, reason)


def test_a_driver_that_does_not_tell_the_state_is_no_failure(library: Scenario) -> None:
    found = after(library.device(line("temperature"), zesDeviceGetState="0x78000003"), 0)

    assert (found.state.wedged, found.state.repair_needed, found.state.lost_rounds) == (None, None, 0)
    assert found.soc_ok.verdict is Verdict.OK


def test_a_link_that_cannot_be_read_is_unknown(library: Scenario) -> None:
    found = after(library.device(zesDevicePciGetState="0x78000003"), 0)
    assert (found.bus_ok.verdict, found.pci.speed_issues) == (Verdict.UNKNOWN, None)


def test_tiles_without_a_root_are_one_device(library: Scenario) -> None:
    library.says(
        line("driver"),
        line("device", bdf=BDF, subdevice=0),
        line("temperature", type=1, celsius=61.5),
        line("device", bdf=BDF, subdevice=1, reset=1),
        line("temperature", type=1, celsius=103.2),
    )
    opened = library.open()
    (handles,) = library.identities(opened).values()
    found = after(SampledDevice(opened, handles, 1.0), 0)

    assert [(sensor.subdevice, sensor.celsius) for sensor in found.temperatures] == [(0, 61.5), (1, 103.2)]
    assert (found.subdevices, found.state.wedged) == (2, True)


def test_a_device_on_which_nothing_works_is_unknown(library: Scenario) -> None:
    calls = ("zesDeviceGetState", "zesDevicePciGetState", "zesDevicePciGetProperties", "zesDeviceEnumMemoryModules")
    device = library.device(line("memory"))
    values = dict.fromkeys(
        (
            *calls,
            "zesDeviceEnumTemperatureSensors",
            "zesDeviceEnumPowerDomains",
            "zesDeviceEnumFrequencyDomains",
            "zesDeviceEnumEngineGroups",
            "zesDeviceEnumRasErrorSets",
            "zesDeviceEnumFirmwares",
        ),
        "0x78000001",
    )
    library.says(line("driver"), line("device", bdf=BDF, **values))
    found: DeviceReading = after(device, 0)

    verdicts = {indicator.verdict for indicator in (found.memory_ok, found.bus_ok, found.soc_ok)}
    assert verdicts == {Verdict.UNKNOWN}
    assert {status.age for status in found.groups.values()} == {None}
