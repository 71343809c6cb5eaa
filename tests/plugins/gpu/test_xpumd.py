"""xpumd as a source of health: its answers as looks, and the stream over a real socket."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework import running
from handmade_gpus import HandmadeGpus
from xpu_plugins.gpu.environment import Facts
from xpu_plugins.gpu.judged import JudgedGpuPlugin
from xpu_plugins.gpu.judges import Look
from xpu_plugins.gpu.xpumd import MOST_DOMAINS, Xpumd, facts, looks
from xpu_shared.health import Evidence
from xpu_wire import deviceinfo_v1alpha1_pb2 as pb
from xpu_wire.deviceinfo_v1alpha1_pb2_grpc import DeviceInfoServicer, add_DeviceInfoServicer_to_server

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    Context = ServicerContext[object, object]

ADDRESS = "0000:6a:00.0"
EXAMPLE = bytes.fromhex(
    "0a53 0a27 0a03 752d37 1204 466c6578 1a1a 0a0c 303030303a36613a30302e30 1204 35366331"
    "1a04 38303836 120e 0a06 6d656d6f7279 1001 1a02 6f6b 1218 0a0b 74656d7065726174757265"
    "1002 1a07 7761726e696e67"
)
UNKNOWN, OK, WARNING, CRITICAL, FAILED = range(5)


def status(name: str, severity: int, reason: str = "", message: str = "") -> pb.HealthStatus:
    return pb.HealthStatus(name=name, severity=severity, reason=reason, message=message)  # type: ignore[arg-type]  # later versions have others


def answer(*statuses: pb.HealthStatus, address: str = ADDRESS, uuid: str = "u-7") -> pb.DeviceHealthResponse:
    info = pb.DeviceInformation(uuid=uuid, pci=pb.PciInfo(bdf=address))
    return pb.DeviceHealthResponse(devices=[pb.DeviceHealth(info=info, health=statuses)])


def look(response: pb.DeviceHealthResponse, *tolerated: str) -> Look:
    (found,) = looks(response, tolerated=tolerated, max_age=60.0).values()
    return found


def evidence(found: Look) -> dict[str, Evidence]:
    return {name: finding.evidence for name, finding in found.findings.items()}


class TestAnswers:
    def test_the_bytes_of_the_example(self) -> None:
        response = pb.DeviceHealthResponse.FromString(EXAMPLE)
        found = looks(response, tolerated=(), max_age=60.0)

        assert response.SerializeToString() == EXAMPLE
        assert list(found) == [ADDRESS]
        assert evidence(found[ADDRESS]) == {"xpumd-memory": Evidence.CLEAR, "xpumd-temperature": Evidence.BAD}
        assert found[ADDRESS].findings["xpumd-temperature"].text == "temperature is warning (warning)"
        assert (found[ADDRESS].uuid, found[ADDRESS].known_for) == ("u-7", 60.0)

    @pytest.mark.parametrize(
        ("severity", "says"),
        [
            (UNKNOWN, Evidence.BETWEEN),
            (OK, Evidence.CLEAR),
            (WARNING, Evidence.BAD),
            (CRITICAL, Evidence.BAD),
            (FAILED, Evidence.BAD),
            (5, Evidence.BAD),
            (-1, Evidence.BETWEEN),
        ],
    )
    def test_warnings_and_worse_are_bad(self, severity: int, says: Evidence) -> None:
        assert evidence(look(answer(status("memory", severity)))) == {"xpumd-memory": says}

    def test_warnings_that_are_tolerated_are_clear_but_nothing_worse(self) -> None:
        response = answer(
            status("frequency", WARNING, "throttled"),
            status("ecc", WARNING, "ecc_enabled"),
            status("fan", WARNING, "slow"),
            status("power", CRITICAL, "throttled"),
        )

        assert evidence(look(response, "throttled", "ecc_enabled", "fan")) == {
            "xpumd-frequency": Evidence.CLEAR,
            "xpumd-ecc": Evidence.CLEAR,
            "xpumd-fan": Evidence.CLEAR,
            "xpumd-power": Evidence.BAD,
        }
        assert set(evidence(look(response)).values()) == {Evidence.BAD}

    @pytest.mark.parametrize("address", ["", "6a:00.0", "0000:6a:00", "x" * 300, "0000:6a:00.0\n"])
    def test_a_device_without_a_usable_address_is_left_out(self, address: str) -> None:
        assert looks(answer(status("memory", OK), address=address), tolerated=(), max_age=60.0) == {}

    def test_addresses_in_capitals_are_understood(self) -> None:
        assert list(looks(answer(address="0000:6A:00.0"), tolerated=(), max_age=60.0)) == [ADDRESS]

    def test_a_device_that_is_there_twice_is_as_bad_as_its_worst(self) -> None:
        response = answer(status("memory", FAILED))
        response.MergeFrom(answer(status("memory", OK)))

        assert evidence(look(response)) == {"xpumd-memory": Evidence.BAD}

    def test_hostile_texts_are_bounded_and_printable(self) -> None:
        (name,) = look(answer(status("Ä\n" * 1000, FAILED, "r" * 5000, "m\x1b" * 5000))).findings.items()

        assert name[0] == "xpumd-" + "_" * 32
        assert name[1].text.isprintable()
        assert len(name[1].text) < 1000

    def test_a_device_has_only_so_many_domains(self) -> None:
        assert len(look(answer(*(status(f"d{number}", OK) for number in range(1000)))).findings) == MOST_DOMAINS

    def test_memory_and_uuid_are_facts(self) -> None:
        memory = [pb.MemoryInfo(type="hbm", subdevice_id=str(tile), size=2**35) for tile in range(2)]
        info = pb.DeviceInformation(uuid="a,b", pci=pb.PciInfo(bdf=ADDRESS), memory=memory)
        response = pb.DeviceHealthResponse(devices=[pb.DeviceHealth(info=info)])

        assert facts(response) == {ADDRESS: Facts(memory_bytes=2**36)}
        assert facts(answer()) == {ADDRESS: Facts(uuid="u-7")}


@given(
    st.lists(
        st.builds(
            lambda address, statuses: answer(*(status(*each) for each in statuses), address=address).devices[0],
            st.sampled_from([ADDRESS, "0000:6A:00.0", "", "x"]) | st.text(),
            st.lists(st.tuples(st.text(), st.integers(-(2**31), 2**31 - 1), st.text(), st.text())),
        )
    )
)
def test_whatever_it_answers_is_understood_or_left_out(devices: Sequence[pb.DeviceHealth]) -> None:
    response = pb.DeviceHealthResponse.FromString(pb.DeviceHealthResponse(devices=devices).SerializeToString())
    found = looks(response, tolerated=("throttled",), max_age=60.0)

    assert set(found) <= {ADDRESS} | {device.info.pci.bdf.lower() for device in devices}
    assert set(facts(response)) == set(found)
    for seen in found.values():
        assert all(re.fullmatch(r"xpumd-[a-z0-9_.-]*", name) for name in seen.findings)
        assert all(finding.text.isprintable() for finding in seen.findings.values())


Stream = Callable[[int], AsyncIterator[pb.DeviceHealthResponse]]


class FakeXpumd(DeviceInfoServicer):
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.calls = 0

    async def WatchDeviceHealth(
        self, request: pb.WatchDeviceHealthRequest, context: "Context"
    ) -> AsyncIterator[pb.DeviceHealthResponse]:
        self.calls += 1
        async for response in self.stream(self.calls):
            yield response


@asynccontextmanager
async def serving(socket: Path, stream: Stream) -> AsyncIterator[FakeXpumd]:
    """xpumd's API at a socket; leaving ends it as a crash does."""
    server = grpc.aio.server()
    servicer = FakeXpumd(stream)
    add_DeviceInfoServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


@asynccontextmanager
async def serving_bytes(socket: Path, *streams: Sequence[bytes]) -> AsyncIterator[None]:
    """xpumd's method with the bytes of each call; the last call's stream stays open."""
    calls = iter(streams)

    async def watch(request: object, context: object) -> AsyncIterator[bytes]:
        for content in next(calls):
            yield content
        await asyncio.Event().wait()

    methods: dict[str, grpc.RpcMethodHandler[object, object]] = {
        "WatchDeviceHealth": grpc.unary_stream_rpc_method_handler(watch)
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("deviceinfo.DeviceInfo", methods),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


class Listening:
    """A running client and what it has heard: the evidence of each answer."""

    def __init__(self, socket: Path, *, max_age: float = 60.0) -> None:
        client = Xpumd(socket, tolerated=(), max_age=max_age, shortest_wait=0.02)
        self.heard: asyncio.Queue[Mapping[str, Look]] = asyncio.Queue()
        self.task = asyncio.create_task(client.run(lambda looks, facts: self.heard.put_nowait(looks)))

    async def next(self) -> Sequence[Evidence]:
        async with asyncio.timeout(10):
            found = await self.heard.get()
        return list(evidence(found[ADDRESS]).values())

    async def __aenter__(self) -> "Listening":
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def endless(call: int) -> AsyncIterator[pb.DeviceHealthResponse]:
    yield answer(status("memory", OK))
    await asyncio.Event().wait()


class TestStream:
    async def test_each_answer_is_heard(self, tmp_path: Path) -> None:
        async def two(call: int) -> AsyncIterator[pb.DeviceHealthResponse]:
            yield answer(status("memory", OK))
            yield answer(status("memory", FAILED))
            await asyncio.Event().wait()

        async with serving(tmp_path / "s", two), Listening(tmp_path / "s") as listening:
            assert await listening.next() == [Evidence.CLEAR]
            assert await listening.next() == [Evidence.BAD]

    async def test_it_waits_for_a_daemon_that_is_not_there_and_follows_its_restarts(self, tmp_path: Path) -> None:
        async with Listening(tmp_path / "s") as listening:
            for _ in range(3):
                async with serving(tmp_path / "s", endless):
                    assert await listening.next() == [Evidence.CLEAR]
                (tmp_path / "s").unlink(missing_ok=True)

    async def test_streams_that_end_are_opened_again_for_ever(self, tmp_path: Path) -> None:
        async def one(call: int) -> AsyncIterator[pb.DeviceHealthResponse]:
            yield answer(status("memory", OK))

        async with serving(tmp_path / "s", one) as daemon, Listening(tmp_path / "s") as listening:
            for _ in range(40):
                await listening.next()
            assert daemon.calls >= 40

    async def test_errors_are_no_reason_to_give_up(self, tmp_path: Path) -> None:
        async def failing(call: int) -> AsyncIterator[pb.DeviceHealthResponse]:
            if call <= 4:
                raise RuntimeError("broken")
            yield answer(status("memory", OK))
            await asyncio.Event().wait()

        async with serving(tmp_path / "s", failing), Listening(tmp_path / "s") as listening:
            assert await listening.next() == [Evidence.CLEAR]

    async def test_bytes_that_are_no_answer_are_a_broken_stream(self, tmp_path: Path) -> None:
        good = answer(status("memory", OK)).SerializeToString()
        async with (
            serving_bytes(tmp_path / "s", [good, b"\xff\xff\xff"], [b"\x0a\x05"], [good]),
            Listening(tmp_path / "s") as listening,
        ):
            assert await listening.next() == [Evidence.CLEAR]
            assert await listening.next() == [Evidence.CLEAR]

    async def test_a_daemon_that_falls_silent_is_asked_again(self, tmp_path: Path) -> None:
        async with serving(tmp_path / "s", endless) as daemon, Listening(tmp_path / "s", max_age=0.05) as listening:
            for _ in range(3):
                await listening.next()
            assert daemon.calls >= 3


I915 = "gpu.intel.com/i915"


class TestPlugin:
    @pytest.fixture
    def gpus(self, tmp_path: Path) -> HandmadeGpus:
        gpus = HandmadeGpus(tmp_path / "gpus")
        gpus.card("card0", path="pci0000:6a/0000:6a:00.0")
        gpus.card("card1", path="pci0000:6b/0000:6b:00.0")
        return gpus

    def plugin(self, gpus: HandmadeGpus, socket: Path, **choices: object) -> JudgedGpuPlugin:
        return JudgedGpuPlugin(gpus.settings(xpumd_endpoint=socket, **choices))

    async def test_a_warning_takes_a_gpu_out_with_the_first_list(self, gpus: HandmadeGpus, tmp_path: Path) -> None:
        async def hot(call: int) -> AsyncIterator[pb.DeviceHealthResponse]:
            yield pb.DeviceHealthResponse.FromString(EXAMPLE)
            await asyncio.Event().wait()

        async with serving(tmp_path / "s", hot), running(tmp_path, self.plugin(gpus, tmp_path / "s")) as node:
            await node.kubelet.wait_for_list(I915, lambda listed: (listed.allocatable, listed.capacity) == (1, 2))

            assert [list(event.unhealthy) for event in node.lists] == [["card0-0"]]
            pod = await node.kubelet.admit("pod", {I915: 1})
            assert pod.given.envs == {}  # nothing is known of card1

    async def test_the_death_of_the_daemon_changes_nothing(self, gpus: HandmadeGpus, tmp_path: Path) -> None:
        severity, changed = [FAILED], asyncio.Event()

        async def stream(call: int) -> AsyncIterator[pb.DeviceHealthResponse]:
            yield answer(status("memory", severity[0]))
            await changed.wait()

        plugin = self.plugin(gpus, tmp_path / "s", health_leave_dwell=0.0)
        async with running(tmp_path, plugin) as node:
            async with serving(tmp_path / "s", stream):
                await node.kubelet.wait_for_list(I915, lambda listed: listed.allocatable == 1)
            severity[0] = OK
            async with serving(tmp_path / "s", stream):
                await node.kubelet.wait_for_list(I915, lambda listed: listed.allocatable == 2)

            assert [len(event.unhealthy) for event in node.lists] in ([0, 1, 0], [1, 0])

    async def test_a_card_that_it_does_not_tell_of_is_healthy(self, gpus: HandmadeGpus, tmp_path: Path) -> None:
        async with serving(tmp_path / "s", endless), running(tmp_path, self.plugin(gpus, tmp_path / "s")) as node:
            await node.kubelet.wait_for_list(I915, lambda listed: listed.allocatable == 2)
