"""Events on the node: an API server in miniature over real HTTPS, and a plugin whose devices turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framework import DemoPlugin, running, unit
from shared.api_server import EVENTS, serving
from xpu_shared.api_server import ApiServer, NoApiServerError, is_node_name
from xpu_shared.device import Health
from xpu_shared.node_events import BURST, NodeEvents, Timings
from xpu_shared.turns import Turn

QUICK = Timings(together=0.05, first_retry=0.05, longest_retry=0.1)
RESOURCE = "demo.intel.com/unit"


@asynccontextmanager
async def writing(api: ApiServer, node: str = "n1") -> AsyncIterator[NodeEvents]:
    events = NodeEvents(api, node, program="xpu-demo-plugin", timings=QUICK)
    task = asyncio.create_task(events.run())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server's thread tells nobody
            await asyncio.sleep(0.01)


def ill(device: str = "unit0", reason: str = "too hot") -> Turn:
    return Turn(RESOURCE, device, False, reason)


async def test_a_device_that_leaves_service_is_one_event_on_the_node(tmp_path: Path) -> None:
    with serving(tmp_path) as (miniature, api):
        async with writing(api) as events:
            events.tell([ill()])
            await until(lambda: events.written)
        ((name, event),) = miniature.events.items()
    assert name.startswith("n1.")
    assert event["message"] == "demo.intel.com/unit: unit0 is unhealthy: too hot"
    assert (event["reason"], event["type"], event["count"]) == ("DeviceUnhealthy", "Warning", 1)
    assert event["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n1"}
    assert event["source"] == {"component": "xpu-demo-plugin", "host": "n1"}
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert event["firstTimestamp"].endswith("Z")
    assert miniature.requests[0][:2] == ("POST", EVENTS)


@pytest.mark.parametrize("node", ["n" * 253, f"{'n' * 229}.{'m' * 23}", f"{'n' * 228}--{'m' * 23}"])
async def test_an_event_on_a_node_with_a_long_name_has_a_name_that_fits(tmp_path: Path, node: str) -> None:
    with serving(tmp_path) as (miniature, api):
        async with writing(api, node) as events:
            events.tell([ill()])
            await until(lambda: events.written)
        ((name, event),) = miniature.events.items()
    assert is_node_name(name)  # the same rule
    assert event["involvedObject"]["name"] == node


async def test_many_at_once_are_one_event_and_the_return_is_another(tmp_path: Path) -> None:
    with serving(tmp_path) as (miniature, api):
        async with writing(api) as events:
            for number in range(64):
                events.tell([ill(f"unit{number}", f"{number} degrees")])
            await until(lambda: events.written)
            events.tell([Turn(RESOURCE, f"unit{number}", True) for number in range(64)])
            await until(lambda: events.written == 2)
        assert [event["type"] for event in miniature.events.values()] == ["Warning", "Normal"]


async def test_the_same_again_is_counted_up_and_anew_once_the_api_server_has_forgotten_it(tmp_path: Path) -> None:
    with serving(tmp_path) as (miniature, api):
        async with writing(api) as events:
            for times in (1, 2):
                events.tell([ill()])
                await until(lambda times=times: events.written == times)  # type: ignore[misc]
            assert [event["count"] for event in miniature.events.values()] == [2]
            miniature.events.clear()
            events.tell([ill()])
            await until(lambda: events.written == 3)
            assert [event["count"] for event in miniature.events.values()] == [1]


async def test_a_failure_is_tried_again_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(tmp_path) as (miniature, api):
        miniature.answers += [(500, b"{}"), (503, b"{}"), (429, b"{}")]
        async with writing(api) as events:
            events.tell([ill()])
            await until(lambda: events.written)
            assert events.failures == 3
        assert len(miniature.events) == 1
    assert 1 <= len(caplog.records) <= 3  # a line for each other reason
    assert "secret" not in caplog.text


async def test_an_event_that_is_refused_is_given_up(tmp_path: Path) -> None:
    with serving(tmp_path) as (miniature, api):
        miniature.answers += [(403, b"{}")]
        async with writing(api) as events:
            events.tell([ill("unit0")])
            await until(lambda: events.dropped)
            events.tell([ill("unit1")])
            await until(lambda: events.written)
        (event,) = miniature.events.values()
    assert "unit1" in event["message"]


async def test_devices_that_flap_write_a_bounded_number_of_events(tmp_path: Path) -> None:
    with serving(tmp_path) as (miniature, api):
        async with writing(api) as events:
            for number in range(200):
                events.tell([ill(f"unit{number}", f"{number}")])
                await asyncio.sleep(0.01)
            assert len(miniature.requests) <= BURST + 1


async def test_an_api_server_that_is_not_there_disturbs_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, api):
        nobody = ApiServer(host="127.0.0.1", port=1, service_account=api.service_account)
    async with writing(nobody) as events:
        events.tell([ill()])
        await until(lambda: events.failures >= 2)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoApiServerError, match="NODE_NAME=''"):
        NodeEvents.of_this_pod("demo", {})
    with pytest.raises(NoApiServerError, match="KUBERNETES_SERVICE_HOST"):
        NodeEvents.of_this_pod("demo", {"NODE_NAME": "n1"}, tmp_path)


async def test_a_plugin_tells_of_its_devices_while_the_kubelet_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as (miniature, api):
        made = lambda program: NodeEvents(api, "n1", program=program, timings=QUICK)  # noqa: E731
        monkeypatch.setattr(NodeEvents, "of_this_pod", staticmethod(made))
        plugin = DemoPlugin()
        async with running(tmp_path, plugin, events=True) as node:
            await node.kubelet.wait_for_list(RESOURCE)
            plugin.devices["unit"] = [unit("unit0", health=Health.UNHEALTHY), unit("unit1")]
            node.uevent()
            await until(lambda: len(miniature.events) == 1)
            plugin.devices["unit"] = [unit("unit0")]
            node.uevent()
            await until(lambda: len(miniature.events) == 3)
    assert [event["message"] for event in miniature.events.values()] == [
        "demo.intel.com/unit: unit0 is unhealthy",
        "demo.intel.com/unit: unit1 is unhealthy: the device is no longer there",
        "demo.intel.com/unit: unit0 is healthy",
    ]


async def test_without_a_service_account_the_plugin_works_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    async with running(tmp_path, DemoPlugin(), events=True) as node:
        await node.kubelet.wait_for_list(RESOURCE)
    assert "no Events are written" in caplog.text
