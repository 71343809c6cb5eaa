import io

import pytest

from xpu_simulator.kubelet import events
from xpu_simulator.lines import Lines, wants_colour
from xpu_simulator.report import Report


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(out: io.StringIO, clock: Clock) -> Report:
    return Report(Lines(out, colour=False), clock=clock)


def test_a_line_has_the_time_and_the_latency_since_the_step_began(
    report: Report, out: io.StringIO, clock: Clock
) -> None:
    clock.now = 102.5
    report.step_begins()
    report.event("add", "gpu3 is plugged in", at=102.5125)

    line = out.getvalue().rstrip("\n")
    assert line.split() == ["2.513", "add", "gpu3", "is", "plugged", "in", "12.5", "ms"]
    assert len(line) == 100


def test_long_texts_are_folded_into_100_columns(report: Report, out: io.StringIO) -> None:
    report.failed("word " * 100)
    report.event("list", "x" * 1000)
    assert max(map(len, out.getvalue().splitlines())) == 100


def test_the_summary_counts_and_names_the_worst_latency(report: Report, out: io.StringIO, clock: Clock) -> None:
    report.event("add", "something")
    clock.now += 0.25
    report.hot_plug_took(report.passed("it came true"))
    report.hot_plug_took(0.1)
    report.failed("it did not")

    report.summary()

    assert out.getvalue().splitlines()[-1] == (
        "FAILED: 1 events, 1 expectations passed, 1 failed, worst hot-plug latency 250.0 ms, 0.2 s"
    )


def test_many_ids_are_cut(report: Report, out: io.StringIO) -> None:
    ids = [f"card{number}-0" for number in range(64)]
    report.kubelet_event(events.ListReceived(resource="example.com/card", endpoint="x", healthy=ids, unhealthy=["z"]))
    text = " ".join(out.getvalue().split())
    assert "64 of 65 healthy: card0-0" in text
    assert "card7-0 … (64)" in text
    assert "unhealthy: z" in text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (events.KubeletStarted(), "listens"),
        (events.KubeletStopped(), "is gone"),
        (events.Registration(resource="r", endpoint="e", version="v1beta1"), "register r at e"),
        (events.Registration(resource="r", endpoint="e", version="v1beta1", error="why"), "refused r at e: why"),
        (
            events.Registration(resource="r", endpoint="e", version="v1beta1", registry=True),
            "register r at plugins_registry/e",
        ),
        (events.ListReceived(resource="r", endpoint="e", healthy=[], unhealthy=["a"]), "r: 0 of 1 healthy: none"),
        (events.StreamEnded(resource="r", endpoint="e", reason="why"), "lost r at e: why"),
        (events.ResourceDropped(resource="r"), "dropped r"),
        (events.Call(method="Allocate", resource="r", arguments=(("a", "b"),)), "call Allocate r a b"),
        (
            events.Call(method="GetPreferredAllocation", resource="r", arguments=(("a", "b"), (), 1)),
            "GetPreferredAllocation r 1 of 2",
        ),
        (events.PodRejected(pod="p", reason="x", message="why"), "pod p is rejected: why"),
        (events.ContainerStartFailed(pod="p", message="why"), "pod p does not start: why"),
        (events.Deregistration(resource="r", endpoint="e"), "gone r at e from plugins_registry"),
        (events.CheckpointFailed(message="why"), "kubelet why"),
        (events.NodeRebooted(), "node reboots"),
        (events.PodAdmitted(pod="p", devices={"r": ["a", "b"]}, again=True), "pod p is admitted again with a b"),
    ],
)
def test_what_the_kubelet_sees_is_told(report: Report, out: io.StringIO, event: events.Event, text: str) -> None:
    report.kubelet_event(event)
    assert text in " ".join(out.getvalue().split())


def test_calls_that_are_seen_by_what_they_bring_are_not_told(report: Report, out: io.StringIO) -> None:
    report.kubelet_event(events.Call(method="ListAndWatch", resource="r"))
    assert out.getvalue() == ""


def test_control_characters_of_plugins_do_not_reach_the_terminal(report: Report, out: io.StringIO) -> None:
    report.kubelet_event(events.StreamEnded(resource="r", endpoint="e", reason="\033[2Jgone\x07"))
    report.details(["\x1b]0;title\x07"])
    assert "\x1b" not in out.getvalue()
    assert r"\x1b[2Jgone\x07" in out.getvalue()


def test_colours_are_outside_the_columns(out: io.StringIO, clock: Clock) -> None:
    Report(Lines(out, colour=True), clock=clock).passed("it came true")
    assert "\033[32mok       \033[0m" in out.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_terminals_get_colours_and_only_if_their_user_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())
