"""What is told of GPUs over time: looks in, opinions out, with the clock as an argument."""

import logging
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_plugins.gpu.health import AREAS, Limits
from xpu_plugins.gpu.judges import Judges, Look
from xpu_plugins.gpu.readings import SidecarReader
from xpu_shared.device import Health
from xpu_shared.health import Evidence, Finding
from xpu_shared.telemetry.kinds import Group, TemperatureKind
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, GroupStatus, TemperatureSensor

A, B = "0000:3b:00.0", "0000:5e:00.0"
BAD = Finding(evidence=Evidence.BAD, text="112 > 100")
CLEAR = Finding(evidence=Evidence.CLEAR)
HEALTHY, UNHEALTHY = Health.HEALTHY, Health.UNHEALTHY


def judges(*, dwell: float = 30.0, unknown_is_bad: bool = False, addresses: Sequence[str] = (A, B)) -> Judges:
    made = Judges(dwell=dwell, unknown_is_bad=unknown_is_bad)
    made.expect(addresses, 0.0)
    return made


def look(valid: float = 3.0, *, uuid: str = "", exhaustive: bool = False, **findings: Finding) -> Look:
    named = {name.replace("_", "-"): finding for name, finding in findings.items()}
    return Look(findings=named, known_for=valid, uuid=uuid, exhaustive=exhaustive)


def told(judged: Judges, now: float, address: str = A) -> tuple[Health, tuple[str, ...]]:
    opinion = judged.opinion(address, now)
    return opinion.health, opinion.conditions


def test_a_gpu_that_nothing_tells_of_is_healthy_and_unknown() -> None:
    assert told(judges(), 0) == (HEALTHY, ("unknown",))
    assert told(judges(addresses=()), 0) == (HEALTHY, ("unknown",))


def test_a_card_without_an_address_is_never_known() -> None:
    opinion = judges().opinion(None, 0)

    assert (opinion.health, opinion.conditions) == (HEALTHY, ("unknown",))
    assert "no PCI address" in opinion.text


def test_a_bad_look_takes_out_the_gpu_that_it_names_and_says_why() -> None:
    judged = judges()

    assert judged.take("s", {A: look(temperature_gpu=BAD), B: look(temperature_gpu=CLEAR)}, 1)
    assert told(judged, 1) == (UNHEALTHY, ("temperature-gpu",))
    assert told(judged, 1, B) == (HEALTHY, ())
    assert judged.opinion(A, 1).text == "temperature-gpu: 112 > 100"


def test_changes_are_told_once() -> None:
    judged = judges(addresses=(A,))

    assert [
        judged.take("s", {A: look(temperature_gpu=finding)}, now) for now, finding in enumerate((CLEAR, CLEAR))
    ] == [
        True,  # it was unknown
        False,
    ]
    assert [judged.take("s", {A: look(temperature_gpu=BAD)}, now) for now in (2, 3)] == [True, False]
    assert [judged.take("s", {A: look(temperature_gpu=CLEAR)}, now) for now in range(4, 36)] == [
        *[False] * 30,
        True,
        False,
    ]


def test_without_news_a_gpu_stays_what_it_was_and_is_unknown() -> None:
    judged = judges()
    judged.take("s", {A: look(temperature_gpu=BAD), B: look(temperature_gpu=CLEAR)}, 1)

    assert judged.next_expiry(1) == 4
    assert judged.expire(4)
    assert not judged.expire(5)
    assert told(judged, 4) == (UNHEALTHY, ("temperature-gpu", "unknown"))
    assert told(judged, 1e6) == (UNHEALTHY, ("temperature-gpu", "unknown"))
    assert told(judged, 1e6, B) == (HEALTHY, ("unknown",))
    assert judged.next_expiry(4) is None


def test_a_message_that_says_nothing_of_a_gpu_does_not_make_it_known() -> None:
    judged = judges()
    judged.take("s", {A: look(0.0)}, 1)

    assert told(judged, 1) == (HEALTHY, ("unknown",))


def test_what_was_said_before_the_scan_counts() -> None:
    judged = judges(addresses=())
    judged.take("s", {A: look(temperature_gpu=BAD)}, 1)
    assert told(judged, 1) == (HEALTHY, ("unknown",))

    judged.expect([A], 2)
    assert told(judged, 2) == (UNHEALTHY, ("temperature-gpu",))


def test_two_sources_are_heard_both() -> None:
    judged = judges(addresses=())
    judged.take("one", {A: look(temperature_gpu=BAD)}, 1)
    judged.take("two", {B: look(temperature_gpu=CLEAR)}, 1)
    judged.expect([A, B], 2)

    assert (told(judged, 2)[0], told(judged, 2, B)) == (UNHEALTHY, (HEALTHY, ()))


def test_addresses_that_no_scan_has_seen_are_not_kept() -> None:
    judged = judges()
    for number in range(1000):
        judged.take("s", {f"{number:04x}:00:00.0": look(temperature_gpu=BAD)}, number)

    judged.expect(["0001:00:00.0"], 1000)
    assert told(judged, 1000, "0001:00:00.0") == (HEALTHY, ("unknown",))


def test_another_gpu_at_the_address_is_a_new_one() -> None:
    judged = judges()
    judged.take("s", {A: look(uuid="one", temperature_gpu=BAD)}, 1)
    judged.take("s", {A: look(uuid="", temperature_gpu=CLEAR)}, 2)
    assert told(judged, 2)[0] is UNHEALTHY

    judged.take("s", {A: look(uuid="two", temperature_gpu=CLEAR)}, 3)
    assert told(judged, 3) == (HEALTHY, ())


def test_conditions_that_an_exhaustive_look_does_not_mention_are_clear() -> None:
    judged = judges(dwell=1)
    judged.take("x", {A: look(exhaustive=True, xpumd_memory=BAD)}, 1)
    judged.take("x", {A: look(exhaustive=True)}, 2)
    assert told(judged, 2)[0] is UNHEALTHY

    judged.take("x", {A: look(exhaustive=True)}, 3)
    assert told(judged, 3) == (HEALTHY, ())


def test_a_source_that_speaks_seldom_is_heard_out() -> None:
    """With a message every ten minutes, half an hour of well-being is three messages in a row."""
    reader = SidecarReader(Limits(celsius=dict.fromkeys(AREAS, 100.0)))
    judged, healths = judges(addresses=(A,), dwell=1000.0), []
    for number, celsius in enumerate((112.0, 50.0, 50.0, 50.0)):
        sensor = TemperatureSensor(kind=TemperatureKind.GPU, celsius=celsius)
        groups = {Group.TEMPERATURE: GroupStatus(age=500.0)}
        snapshot = DeviceSnapshot(devices=(DeviceReading(pci_address=A, temperatures=(sensor,), groups=groups),))
        judged.take("s", reader.looks(snapshot, age=0.0, validity=1800.0), 600.0 * number)
        healths.append(told(judged, 600.0 * number))

    assert healths == [(UNHEALTHY, ("temperature-gpu",))] * 3 + [(HEALTHY, ())]


class TestUnknownIsBad:
    def test_a_gpu_that_nothing_tells_of_is_taken_out_and_put_back_after_the_dwell_time(self) -> None:
        judged = judges(unknown_is_bad=True, dwell=2)
        assert told(judged, 0) == (UNHEALTHY, ("unknown",))
        assert judged.opinion(None, 0).health is UNHEALTHY

        healths = []
        for now in (1, 2, 3, 4):
            judged.take("s", {A: look(temperature_gpu=CLEAR)}, now)
            healths.append(told(judged, now))
        assert healths == [(UNHEALTHY, ("unknown",))] * 2 + [(HEALTHY, ())] * 2
        assert judged.expire(7)
        assert told(judged, 7) == (UNHEALTHY, ("unknown",))


class TestNoise:
    @given(around=st.floats(min_value=90, max_value=102), seed=st.integers())
    @settings(deadline=None)
    def test_ten_minutes_around_a_limit_are_at_most_one_change(self, around: float, seed: int) -> None:
        noise = random.Random(seed)
        assert len(self.changes([around + noise.uniform(-1, 1) for _ in range(600)])) <= 1

    def changes(self, celsius: Sequence[float]) -> list[float]:
        """The seconds at which the GPU's health changed."""
        reader = SidecarReader(Limits(celsius=dict.fromkeys(AREAS, 100.0)))
        judged, last, found = judges(addresses=(A,)), HEALTHY, []
        for second, value in enumerate(celsius):
            sensor = TemperatureSensor(kind=TemperatureKind.GPU, celsius=value)
            reading = DeviceReading(
                pci_address=A, temperatures=(sensor,), groups={Group.TEMPERATURE: GroupStatus(age=0.01)}
            )
            judged.take("s", reader.looks(DeviceSnapshot(devices=(reading,)), age=0.0, validity=3.0), second)
            health = judged.opinion(A, second).health
            found += [float(second)] if health is not last else []
            last = health
        return found


Step = tuple[float, Mapping[str, Finding] | None]
findings = st.dictionaries(
    st.sampled_from(["temperature-gpu", "memory-critical", "wedged"]),
    st.builds(
        Finding,
        evidence=st.sampled_from(Evidence),
        text=st.just("t"),
        age=st.floats(min_value=0, max_value=60),
    ),
)
steps = st.lists(st.tuples(st.floats(min_value=0, max_value=50), st.none() | findings), max_size=40)


@given(steps=steps, dwell=st.floats(min_value=0, max_value=60), unknown_is_bad=st.booleans())
@settings(deadline=None)
def test_it_never_comes_back_before_the_dwell_time(steps: list[Step], dwell: float, unknown_is_bad: bool) -> None:
    judged, now, last, out = judges(dwell=dwell, unknown_is_bad=unknown_is_bad, addresses=(A,)), 0.0, HEALTHY, 0.0
    for seconds, found in steps:
        now += seconds
        if found is None:
            judged.expire(now)
        else:
            judged.take("s", {A: Look(findings=found, known_for=3.0)}, now)
        health = judged.opinion(A, now).health
        if (last, health) == (HEALTHY, UNHEALTHY):
            out = now
        if (last, health) == (UNHEALTHY, HEALTHY):
            assert now - out >= dwell - 1e-6
            assert found is not None
        last = health


def test_the_log_has_one_line_per_change(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "xpu"):
        judged = judges(addresses=(A,), dwell=2)
        for now, finding in enumerate((CLEAR, CLEAR, BAD, BAD, CLEAR, CLEAR, CLEAR, CLEAR)):
            judged.take("s", {A: look(temperature_gpu=finding)}, now)

    fields = [record.__dict__["fields"] for record in caplog.records]
    assert [(line["gpu"], line["health"], line["reason"]) for line in fields] == [
        (A, "Healthy", "unknown: nothing tells of its health"),
        (A, "Healthy", "it is well"),
        (A, "Unhealthy", "temperature-gpu: 112 > 100"),
        (A, "Healthy", "it is well"),
    ]


def test_warnings_are_told_when_they_come_and_when_they_go(caplog: pytest.LogCaptureFixture) -> None:
    judged = judges(addresses=(A,))
    with caplog.at_level(logging.INFO, "xpu"):
        judged.take("s", {A: look()}, 1)
        caplog.clear()
        for warnings in (("degraded",), ("degraded",), ()):
            judged.take("s", {A: Look(findings={}, known_for=3.0, warnings=warnings)}, 2)

    assert [(record.levelname, record.__dict__["fields"]["about"]) for record in caplog.records] == [
        ("WARNING", "degraded"),
        ("INFO", "degraded"),
    ]
