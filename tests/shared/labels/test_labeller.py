import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.api_server import serving
from xpu_shared.labels.labeller import Labeller
from xpu_shared.labels.node import NodeLabels
from xpu_shared.labels.node_sink import NodeSink
from xpu_shared.labels.settings import LabelSettings
from xpu_shared.labels.sinks import BURST, FileSink, NoSinkError, Sink, SinkError, open_sinks

LABELS = {"gpu.intel.com/memory.max": "17179869184", "gpu.intel.com/xpu-health": "ok"}


class Stubborn:
    """A sink that fails, or hangs until it is let go."""

    name = "node"

    def __init__(self) -> None:
        self.trouble = ""
        self.free = threading.Event()
        self.free.set()
        self.updates: list[Mapping[str, str]] = []

    def update(self, labels: Mapping[str, str]) -> bool:
        self.free.wait(10)
        self.updates.append(labels)
        if self.trouble:
            raise SinkError(self.trouble)
        return True

    def remove(self) -> None:
        self.free.wait(10)


@asynccontextmanager
async def labelling(*sinks: Sink, look: float = 0.02) -> AsyncIterator[Labeller]:
    labeller = Labeller(sinks, look=look)
    task = asyncio.create_task(labeller.run())
    try:
        yield labeller
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.005)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


async def test_labels_are_in_the_file_soon_after_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "xpu-level-zero.txt"
    async with labelling(FileSink(path), look=60) as labeller:
        labeller.want(LABELS)
        await until(path.exists)
        assert lines(path) == [f"{key}={value}" for key, value in LABELS.items()]
        labeller.want({**LABELS, "gpu.intel.com/xpu-health": "failed"})
        await until(lambda: lines(path)[-1] == "gpu.intel.com/xpu-health=failed")
        assert labeller.writes == {"nfd": 2}


async def test_what_is_there_stays_until_something_is_wanted_and_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    async with labelling(FileSink(path)) as labeller:
        labeller.want(LABELS)
        await until(path.exists)
    before = path.read_bytes()
    async with labelling(FileSink(path)) as labeller:
        await asyncio.sleep(0.1)  # several looks
        assert path.read_bytes() == before
        labeller.want(LABELS)
        await asyncio.sleep(0.1)
        assert labeller.writes["nfd"] == 0
    assert path.read_bytes() == before


async def test_a_file_that_somebody_removed_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    async with labelling(FileSink(path)) as labeller:
        labeller.want(LABELS)
        await until(path.exists)
        path.unlink()
        await until(path.exists)


async def test_values_that_flap_are_written_a_bounded_number_of_times(tmp_path: Path) -> None:
    async with labelling(FileSink(tmp_path / "labels.txt")) as labeller:
        for number in range(100):
            labeller.want({"gpu.intel.com/xpu-health": f"{number}"})
            await asyncio.sleep(0.005)
        assert labeller.writes["nfd"] <= BURST


async def test_a_missing_directory_is_said_once_and_found_when_it_appears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "features.d" / "labels.txt"
    async with labelling(FileSink(path)) as labeller:
        labeller.want(LABELS)
        await until(lambda: labeller.failures["nfd"] > 2)
        path.parent.mkdir()
        await until(path.exists)
        await until(lambda: labeller.writes["nfd"])
    assert [record.getMessage() for record in caplog.records] == ["cannot write labels, keeps trying"]


async def test_a_sink_that_hangs_costs_only_itself(tmp_path: Path) -> None:
    hanging = Stubborn()
    hanging.free.clear()
    path = tmp_path / "labels.txt"
    async with labelling(hanging, FileSink(path)) as labeller:
        for value in ("ok", "failed"):
            labeller.want({"gpu.intel.com/xpu-health": value})
            await until(lambda value=value: path.exists() and lines(path) == [f"gpu.intel.com/xpu-health={value}"])  # type: ignore[misc]
        hanging.free.set()
        await until(lambda: hanging.updates and hanging.updates[-1] == {"gpu.intel.com/xpu-health": "failed"})


async def test_a_sink_that_fails_is_tried_again() -> None:
    failing = Stubborn()
    failing.trouble = "HTTP status 500"
    async with labelling(failing) as labeller:
        labeller.want(LABELS)
        await until(lambda: labeller.failures["node"] >= 2)
        failing.trouble = ""
        await until(lambda: labeller.writes["node"])


async def test_labels_can_be_taken_away_at_the_end_but_not_for_longer_than_a_second(tmp_path: Path) -> None:
    hanging, path = Stubborn(), tmp_path / "labels.txt"
    async with labelling(hanging, FileSink(path)) as labeller:
        labeller.want(LABELS)
        await until(path.exists)
    hanging.free.clear()
    began = asyncio.get_running_loop().time()
    await labeller.remove()
    assert asyncio.get_running_loop().time() - began < 3
    assert not path.exists()
    hanging.free.set()


async def test_a_node_gets_one_patch_for_a_change_and_keeps_foreign_labels(tmp_path: Path) -> None:
    with serving(tmp_path) as (miniature, api):
        miniature.nodes["n1"] = {"metadata": {"labels": {"gpu.intel.com/cards": "x", "gpu.intel.com/xpu-old": "1"}}}
        sink = NodeSink(NodeLabels(api, "n1", is_own=lambda key: key.startswith("gpu.intel.com/xpu-")))
        async with labelling(sink) as labeller:
            labeller.want(LABELS)
            await until(lambda: labeller.writes["node"])
            await asyncio.sleep(0.1)  # several looks
        assert miniature.nodes["n1"]["metadata"]["labels"] == {"gpu.intel.com/cards": "x", **LABELS}
        assert [method for method, *_ in miniature.requests] == ["GET", "PATCH"]


def test_a_sink_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    settings = LabelSettings(label_sink=("node",))
    with pytest.raises(NoSinkError, match="--label-sink=node: KUBERNETES_SERVICE_HOST is not set"):
        open_sinks(settings, file=tmp_path / "x.txt", is_own=str.isdigit, environment={})


def test_a_bad_node_name_is_named(tmp_path: Path) -> None:
    environment = {"NODE_NAME": "N/1", "KUBERNETES_SERVICE_HOST": "localhost"}
    with serving(tmp_path), pytest.raises(NoSinkError, match="NODE_NAME: node name 'N/1'"):
        NodeSink.of_this_pod(str.isdigit, environment, tmp_path)
