"""Numbers of hardware on the metrics page: a plugin that hangs or fails costs its own series."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from framework import RESOURCE, DemoPlugin, running
from web_pages import fetch, free_port
from xpu_shared import measuring
from xpu_shared.measurement import Gauge
from xpu_shared.measuring import Measuring
from xpu_shared.program.options import ListenAddress

HEAT = Gauge(name="demo_heat_celsius", help="Heat.", labels=("unit",), samples=[(("unit0",), 41.5)])


@dataclass
class Thermometer:
    work: Callable[[], Sequence[Gauge]] = lambda: (HEAT,)

    def measure(self) -> Sequence[Gauge]:
        return self.work()


def test_what_is_measured_is_given() -> None:
    assert Measuring(Thermometer(), "demo").gauges() == (HEAT,)


def test_hardware_that_hangs_has_no_numbers_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "PATIENCE", 0.05)
    answer = threading.Event()

    def work() -> Sequence[Gauge]:
        answer.wait(10)
        return (HEAT,)

    slow = Measuring(Thermometer(work), "demo")
    threads = threading.active_count()
    assert [slow.gauges() for _ in range(3)] == [(), (), ()]
    assert threading.active_count() == threads + 1

    monkeypatch.setattr(measuring, "PATIENCE", 10.0)
    (hanging,) = (thread for thread in threading.enumerate() if thread.name == "measure demo")
    answer.set()
    hanging.join(10)
    assert slow.gauges() == (HEAT,)


def test_a_measurement_that_fails_leaves_no_old_numbers(caplog: pytest.LogCaptureFixture) -> None:
    thermometer = Thermometer()
    measured = Measuring(thermometer, "demo")
    assert measured.gauges() == (HEAT,)

    def fail() -> Sequence[Gauge]:
        raise OSError(5, "Input/output error", "/sys/heat")

    thermometer.work = fail
    assert [measured.gauges() for _ in range(2)] == [(), ()]
    assert [record.getMessage() for record in caplog.records] == ["cannot measure"]


async def test_the_page_has_a_metric_of_several_plugins_once(tmp_path: Path) -> None:
    class Measured(DemoPlugin):
        def measure(self) -> Sequence[Gauge]:
            return (Gauge(name=HEAT.name, help=HEAT.help, labels=("unit",), samples=[((self.namespace,), 1.0)]),)

    port = free_port()
    plugins = [Measured(), Measured(namespace="other.intel.com")]
    async with running(tmp_path, *plugins, metrics_address=ListenAddress("127.0.0.1", port)) as node:
        await node.kubelet.wait_for_list(RESOURCE)
        status, text = await fetch(port, "/metrics")

    assert status == 200
    assert text.count("# TYPE demo_heat_celsius gauge") == 1
    assert 'demo_heat_celsius{unit="demo.intel.com"} 1.0' in text
    assert 'demo_heat_celsius{unit="other.intel.com"} 1.0' in text
