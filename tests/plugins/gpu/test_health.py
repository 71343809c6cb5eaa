"""What a reading says of a GPU: the table of conditions, row by row."""

import math

import pytest

from xpu_plugins.gpu.health import AREAS, Limits, Observation, observe
from xpu_shared.health import Evidence, Finding
from xpu_shared.telemetry.kinds import (
    Group,
    LinkStatus,
    MemoryHealth,
    MemoryKind,
    RasSeverity,
    TemperatureKind,
    Verdict,
)
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceState,
    GroupStatus,
    Indicator,
    MemoryModule,
    PciLink,
    RasErrorSet,
    ResultError,
    TemperatureSensor,
)

BAD, BETWEEN, CLEAR = Evidence.BAD, Evidence.BETWEEN, Evidence.CLEAR
GLOBAL, GPU, MEMORY = TemperatureKind.GLOBAL, TemperatureKind.GPU, TemperatureKind.MEMORY
ADDRESS = "0000:3b:00.0"


def limits(ras: int = 0, **celsius: float) -> Limits:
    return Limits(
        celsius={kind: celsius.get(kind.name.lower(), 100.0) for kind in AREAS}, hysteresis=5.0, ras_uncorrectable=ras
    )


def observed(*, ras_limit: int = 0, **values: object) -> Observation:
    reading = DeviceReading(pci_address=ADDRESS, **values)  # type: ignore[arg-type]  # tests name any of its fields
    return observe(reading, limits(ras_limit), {})


def evidence(seen: Observation) -> dict[str, Evidence]:
    return {name: finding.evidence for name, finding in seen.findings.items()}


def sensor(kind: TemperatureKind, celsius: float | None, tile: int | None = None) -> TemperatureSensor:
    return TemperatureSensor(kind=kind, celsius=celsius, subdevice=tile)


def modules(*healths: MemoryHealth) -> tuple[MemoryModule, ...]:
    return tuple(MemoryModule(health=health, kind=MemoryKind.HBM, subdevice=n) for n, health in enumerate(healths))


def test_a_reading_of_nothing_says_nothing() -> None:
    assert observed() == Observation(findings={}, warnings=(), temperatures={})


class TestTemperature:
    @pytest.mark.parametrize(
        ("celsius", "says"),
        [(100.0, BETWEEN), (100.001, BAD), (250.0, BAD), (95.001, BETWEEN), (95.0, CLEAR), (-60.0, CLEAR)],
    )
    @pytest.mark.parametrize("kind", AREAS)
    def test_above_the_limit_is_bad_and_five_degrees_below_is_clear(
        self, kind: TemperatureKind, celsius: float, says: Evidence
    ) -> None:
        assert evidence(observed(temperatures=(sensor(kind, celsius),))) == {AREAS[kind]: says}

    def test_each_area_has_its_own_limit(self) -> None:
        reading = DeviceReading(
            pci_address=ADDRESS, temperatures=tuple(sensor(kind, 88.0) for kind in (GLOBAL, GPU, MEMORY))
        )
        seen = observe(reading, limits(gpu=90, memory=85), {})

        assert evidence(seen) == {
            "temperature-global": CLEAR,
            "temperature-gpu": BETWEEN,
            "temperature-memory": BAD,
        }

    def test_the_worked_example_of_two_tiles(self) -> None:
        seen = observed(temperatures=(sensor(GPU, 61.5, 0), sensor(GPU, 103.2, 1), sensor(MEMORY, 70.0, 0)))

        assert evidence(seen) == {"temperature-gpu": BAD, "temperature-memory": CLEAR}
        assert seen.findings["temperature-gpu"].text == "gpu temperature 103.2 > 100 (subdevice 1)"

    def test_other_kinds_of_sensors_do_not_count(self) -> None:
        kinds = set(TemperatureKind) - set(AREAS)

        assert evidence(observed(temperatures=tuple(sensor(kind, 200.0) for kind in kinds))) == {}

    def test_a_sensor_that_does_not_answer_says_nothing(self) -> None:
        assert evidence(observed(temperatures=(sensor(GPU, None), sensor(MEMORY, None, 0)))) == {}
        assert evidence(observed(temperatures=(sensor(GPU, None, 0), sensor(GPU, 50, 1)))) == {"temperature-gpu": CLEAR}

    def test_a_sensor_that_dies_hot_does_not_cool_down(self) -> None:
        hot = DeviceReading(pci_address=ADDRESS, temperatures=(sensor(GPU, 112.0, 0), sensor(GPU, 50.0, 1)))
        dead = DeviceReading(pci_address=ADDRESS, temperatures=(sensor(GPU, None, 0), sensor(GPU, 50.0, 1)))
        gone = DeviceReading(pci_address=ADDRESS, temperatures=(sensor(GPU, 50.0, 1),))

        last = observe(hot, limits(), {}).temperatures
        for _ in range(3):
            seen = observe(dead, limits(), last)
            last = seen.temperatures
            assert evidence(seen) == {"temperature-gpu": BAD}
        assert evidence(observe(gone, limits(), last)) == {"temperature-gpu": CLEAR}


class TestMemory:
    @pytest.mark.parametrize(
        ("healths", "critical", "replace"),
        [
            ((MemoryHealth.UNKNOWN, MemoryHealth.OK, MemoryHealth.DEGRADED), CLEAR, CLEAR),
            ((MemoryHealth.OK, MemoryHealth.CRITICAL), BAD, BETWEEN),
            ((MemoryHealth.REPLACE, MemoryHealth.OK), BETWEEN, BAD),
            ((MemoryHealth.REPLACE, MemoryHealth.CRITICAL), BAD, BAD),
        ],
    )
    def test_one_bad_module_is_enough(
        self, healths: tuple[MemoryHealth, ...], critical: Evidence, replace: Evidence
    ) -> None:
        assert evidence(observed(memory=modules(*healths))) == {"memory-critical": critical, "memory-replace": replace}

    def test_the_worked_example_of_levelzero_16_1(self) -> None:
        first = observed(
            memory=modules(MemoryHealth.DEGRADED, MemoryHealth.CRITICAL),
            pci=PciLink(status=LinkStatus.QUALITY_ISSUES, replay_issues=True, speed_issues=False),
        )
        second = observed(
            memory=modules(MemoryHealth.OK, MemoryHealth.DEGRADED),
            pci=PciLink(status=LinkStatus.QUALITY_ISSUES, replay_issues=True, speed_issues=True),
        )

        assert [name for name, says in evidence(first).items() if says is BAD] == ["memory-critical"]
        assert first.findings["memory-critical"].text == "a memory module (hbm) reports critical (subdevice 1)"
        assert [name for name, says in evidence(second).items() if says is BAD] == ["bus-speed"]

    def test_degraded_memory_only_warns(self) -> None:
        seen = observed(memory=modules(MemoryHealth.OK, MemoryHealth.DEGRADED, MemoryHealth.DEGRADED))

        assert seen.warnings == (
            "a memory module (hbm) is degraded (subdevice 1)",
            "a memory module (hbm) is degraded (subdevice 2)",
        )

    def test_modules_that_did_not_answer_are_not_well(self) -> None:
        failed = GroupStatus(age=0.0, last_error=ResultError(code=0x7FFFFFFE, text="unknown"))

        assert evidence(observed(memory=modules(MemoryHealth.UNKNOWN), groups={Group.MEMORY: failed})) == {}

    def test_an_error_that_is_not_of_a_module_s_state_does_not_keep_a_gpu_out(self) -> None:
        denied = GroupStatus(age=0.0, last_error=ResultError(code=0x70010000, text="insufficient permissions"))
        clear = {"memory-critical": CLEAR, "memory-replace": CLEAR}
        assert evidence(observed(memory=modules(MemoryHealth.OK), groups={Group.MEMORY: denied})) == clear
        answered = (MemoryModule(health=MemoryHealth.UNKNOWN, free_bytes=1),)
        assert evidence(observed(memory=answered, groups={Group.MEMORY: denied})) == clear

    def test_a_source_that_gives_only_the_three_answers_is_believed(self) -> None:
        failed, ok = Indicator(verdict=Verdict.FAILED, reason="module 1"), Indicator(verdict=Verdict.OK)
        seen = observed(memory_ok=failed, bus_ok=ok, soc_ok=Indicator())
        assert evidence(seen) == {"memory-critical": BAD, "bus-speed": CLEAR}
        assert seen.findings["memory-critical"].text == "memory failed: module 1"
        assert evidence(observed(soc_ok=failed)) == {"wedged": BAD}

    def test_a_reason_is_cut(self) -> None:
        seen = observed(soc_ok=Indicator(verdict=Verdict.FAILED, reason="x" * 1000))
        assert seen.findings["wedged"].text == f"SoC failed: {'x' * 256}"

    def test_details_are_judged_and_not_the_answers(self) -> None:
        """The sidecar calls a device failed that was lost for one round, here it takes two."""
        failed = Indicator(verdict=Verdict.FAILED)
        seen = observed(
            memory_ok=failed,
            bus_ok=failed,
            soc_ok=failed,
            memory=modules(MemoryHealth.OK),
            pci=PciLink(speed_issues=False),
            state=DeviceState(lost_rounds=1),
        )
        assert BAD not in evidence(seen).values()

    def test_integrated_devices_have_none_and_are_not_ill_for_it(self) -> None:
        assert evidence(observed(memory=(), state=DeviceState(lost_rounds=0))) == {"device-lost": CLEAR}


class TestBus:
    def test_speed_issues_and_stability_issues_are_bad(self) -> None:
        fast = PciLink(status=LinkStatus.GOOD, speed_issues=False)
        slow = PciLink(
            status=LinkStatus.QUALITY_ISSUES,
            speed_issues=True,
            generation=1,
            max_generation=5,
            lanes=16,
            max_lanes=16,
        )
        unstable = PciLink(status=LinkStatus.STABILITY_ISSUES, speed_issues=False)

        assert evidence(observed(pci=fast)) == {"bus-speed": CLEAR, "bus-unstable": CLEAR}
        assert evidence(observed(pci=slow)) == {"bus-speed": BAD, "bus-unstable": CLEAR}
        assert evidence(observed(pci=unstable)) == {"bus-speed": CLEAR, "bus-unstable": BAD}
        assert observed(pci=slow).findings["bus-speed"].text.endswith(": generation 1 of 5, 16 lanes of 16")

    def test_other_quality_issues_only_warn(self) -> None:
        link = PciLink(status=LinkStatus.QUALITY_ISSUES, replay_issues=True, retraining_issues=True, speed_issues=False)

        assert evidence(observed(pci=link)) == {"bus-speed": CLEAR, "bus-unstable": CLEAR}
        assert observed(pci=link).warnings == ("the PCI link replays packets", "the PCI link retrains")

    def test_a_link_of_unknown_status_says_nothing(self) -> None:
        assert evidence(observed(pci=PciLink())) == {}


class TestState:
    @pytest.mark.parametrize(
        ("state", "name"),
        [
            (DeviceState(wedged=True), "wedged"),
            (DeviceState(wedged=False, reset_required=True), "wedged"),
            (DeviceState(repair_needed=True), "repair-needed"),
            (DeviceState(survivability_mode=True), "repair-needed"),
        ],
    )
    def test_reset_reasons_and_results_are_bad(self, state: DeviceState, name: str) -> None:
        assert evidence(observed(state=state)) == {name: BAD}

    def test_without_them_it_is_clear(self) -> None:
        state = DeviceState(
            wedged=False, repair_needed=False, reset_required=False, survivability_mode=False, lost_rounds=0
        )

        assert evidence(observed(state=state)) == {"wedged": CLEAR, "repair-needed": CLEAR, "device-lost": CLEAR}

    @pytest.mark.parametrize(("rounds", "says"), [(0, CLEAR), (1, BETWEEN), (2, BAD), (1000, BAD)])
    def test_a_device_is_lost_in_its_second_round(self, rounds: int, says: Evidence) -> None:
        assert evidence(observed(state=DeviceState(lost_rounds=rounds))) == {"device-lost": says}

    def test_a_lost_device_is_known_to_be_lost_although_nothing_is_sampled_any_more(self) -> None:
        old = {group: GroupStatus(age=500.0) for group in (Group.STATE, Group.TEMPERATURE)}
        seen = observed(state=DeviceState(lost_rounds=9), groups=old, temperatures=(sensor(GPU, 50.0),))

        assert evidence(seen) == {"device-lost": BAD}
        assert seen.findings["device-lost"].age == 0


class TestErrors:
    errors = (
        RasErrorSet(severity=RasSeverity.CORRECTABLE, cache_errors=1000),
        RasErrorSet(severity=RasSeverity.UNCORRECTABLE, subdevice=0, compute_errors=1, memory_errors=2),
        RasErrorSet(severity=RasSeverity.UNCORRECTABLE, subdevice=1, cache_errors=4),
    )

    def test_by_default_they_are_counted_and_nothing_more(self) -> None:
        seen = observed(ras=self.errors)

        assert evidence(seen) == {}
        assert seen.warnings == ("7 uncorrectable errors since the driver was loaded",)

    @pytest.mark.parametrize(("limit", "says"), [(7, BAD), (1, BAD), (8, CLEAR)])
    def test_with_a_limit_so_many_are_bad(self, limit: int, says: Evidence) -> None:
        assert evidence(observed(ras=self.errors, ras_limit=limit)) == {"ras-uncorrectable": says}

    def test_without_counters_nothing_is_known(self) -> None:
        assert evidence(observed(ras=(RasErrorSet(severity=RasSeverity.UNCORRECTABLE),), ras_limit=1)) == {}


class TestAge:
    def test_a_finding_is_as_old_as_its_sample(self) -> None:
        groups = {Group.TEMPERATURE: GroupStatus(age=0.5), Group.MEMORY: GroupStatus(age=12.0)}
        seen = observed(temperatures=(sensor(GPU, 50.0),), memory=modules(MemoryHealth.OK), groups=groups)

        assert {name: finding.age for name, finding in seen.findings.items()} == {
            "temperature-gpu": 0.5,
            "memory-critical": 12.0,
            "memory-replace": 12.0,
        }

    @pytest.mark.parametrize("age", [61.0, None])
    def test_what_is_older_than_a_minute_or_was_never_sampled_says_nothing(self, age: float | None) -> None:
        groups = {Group.TEMPERATURE: GroupStatus(age=age), Group.STATE: GroupStatus(age=age)}

        assert (
            evidence(observed(temperatures=(sensor(GPU, 50.0),), state=DeviceState(wedged=False), groups=groups)) == {}
        )

    def test_a_device_answers_as_long_as_any_group_is_sampled(self) -> None:
        groups = {Group.RAS: GroupStatus(age=50.0), Group.POWER: GroupStatus(age=1.0)}
        seen = observed(state=DeviceState(lost_rounds=0), groups=groups)

        assert seen.findings == {"device-lost": Finding(evidence=CLEAR, age=1.0)}


def test_limits_that_are_reached_by_nothing_are_no_mistake() -> None:
    reading = DeviceReading(pci_address=ADDRESS, temperatures=(sensor(GPU, 250.0),))
    never = Limits(celsius=dict.fromkeys(AREAS, math.inf))

    assert evidence(observe(reading, never, {})) == {"temperature-gpu": CLEAR}
