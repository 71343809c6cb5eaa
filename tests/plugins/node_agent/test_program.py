"""The agent beside a kubelet, as a node would run it."""

import asyncio
import json
import re
import tomllib
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest

from gpu_telemetry import publisher_process
from handmade_sgx import HandmadeSgx
from programs import RunningProgram, program
from xpu_plugins.node_agent import families
from xpu_plugins.node_agent.families import FAMILIES
from xpu_plugins.node_agent.program import main
from xpu_shared.plugin_program import PluginProgram
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

AGENT = "xpu_plugins.node_agent"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """SGX and two GPUs."""
    root = HandmadeSgx(tmp_path).root
    tree = SimulatedTree(root)
    for card in range(2):
        tree.add_gpu(Gpu(card=card))
    return root


async def page(agent: RunningProgram, path: str) -> str:
    """One of its pages, as soon as it is good."""
    port = int(re.findall("port=([0-9]+)", await agent.says("serves metrics"))[0])

    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    async with asyncio.timeout(20):
        while True:
            try:
                return await asyncio.to_thread(get)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_the_table_is_a_plugins_program(family: str) -> None:
    found = families.program(family)
    assert isinstance(found, PluginProgram)
    assert found.name == f"xpu-{family}-plugin"


def test_every_plugins_program_is_in_the_table() -> None:
    scripts = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["scripts"]
    assert {f"xpu-{family}-plugin" for family in FAMILIES} == {name for name in scripts if name.endswith("-plugin")}


async def test_what_there_is_of_all_families_is_offered_by_one_process(node: Path) -> None:
    (node / "agent.yaml").write_text("gpu: {shared-dev-num: 2}\nsgx: {enclave-limit: 3, provision-limit: 1}\n")
    async with program(AGENT, node, f"--config={node}/agent.yaml", "--metrics-address=127.0.0.1:0") as agent:
        await agent.wait_for("gpu.intel.com/i915", 4)
        await agent.wait_for("sgx.intel.com/enclave", 3)
        await agent.wait_for("sgx.intel.com/provision", 1)

        assert set(agent.kubelet.resources) == {
            "gpu.intel.com/i915",
            "sgx.intel.com/enclave",
            "sgx.intel.com/provision",
        }
        (answer,) = await agent.allocate("gpu.intel.com/i915", ["card1-0"])
        assert isinstance(answer["devices"], list)
        assert {device["container_path"] for device in answer["devices"]} == {"/dev/dri/card1", "/dev/dri/renderD129"}

        metrics = await page(agent, "/metrics")
        assert 'xpu_devices{health="Healthy",resource="gpu.intel.com/i915"} 4.0' in metrics
        assert 'xpu_devices{health="Healthy",resource="sgx.intel.com/enclave"} 3.0' in metrics
        assert 'program="xpu-node-agent"' in metrics


async def test_a_device_of_one_family_goes_and_returns(node: Path) -> None:
    tree = SimulatedTree(node)
    async with program(AGENT, node) as agent:
        await agent.wait_for("gpu.intel.com/i915", 2)

        tree.remove_gpu(Gpu(card=1))
        agent.tell("remove", "drm")
        await agent.wait_for("gpu.intel.com/i915", 1, listed=2)

        tree.add_gpu(Gpu(card=1))
        agent.tell("add", "drm")
        await agent.wait_for("gpu.intel.com/i915", 2)
        assert agent.kubelet.resources["sgx.intel.com/enclave"].lists == 1


async def test_only_the_chosen_families_are_run(node: Path) -> None:
    async with program(AGENT, node, "--families=sgx") as agent:
        assert 'plugins="sgx.intel.com"' in await agent.says("starts")
        await agent.wait_for("sgx.intel.com/enclave", 110)
        assert not any(resource.startswith("gpu") for resource in agent.kubelet.resources)


async def test_without_any_hardware_it_registers_nothing_and_is_ready(tmp_path: Path) -> None:
    for directory in ("sys", "dev"):
        (tmp_path / directory).mkdir()
    async with program(AGENT, tmp_path, "--metrics-address=127.0.0.1:0") as agent:
        assert await page(agent, "/readyz") == "ok\n"
        assert agent.kubelet.resources == {}


async def test_a_section_that_nothing_reads_is_spoken_of(node: Path) -> None:
    (node / "agent.yaml").write_text("families: [sgx]\ngpu: {shared-dev-num: 2}\n")
    async with program(AGENT, node, f"--config={node}/agent.yaml") as agent:
        assert 'section="gpu"' in await agent.says("is not used")
        await agent.wait_for("sgx.intel.com/enclave", 110)


async def test_a_family_with_a_source_of_its_own_hears_it_here_too(node: Path) -> None:
    address, endpoint = Gpu(card=1).pci_address, f"ipc://{node}/run/s"
    (node / "agent.yaml").write_text(f'families: [gpu]\ngpu: {{telemetry: ["{endpoint}"]}}\n')
    async with (
        publisher_process(endpoint, f"{address}=112"),
        program(AGENT, node, f"--config={node}/agent.yaml") as agent,
    ):
        await agent.wait_for("gpu.intel.com/i915", 1, listed=2)
        assert agent.kubelet.resources["gpu.intel.com/i915"].healthy == {"card0-0"}


class TestDiscover:
    def flags(self, node: Path) -> list[str]:
        return [f"--sysfs-root={node}/sys", f"--dev-root={node}/dev", "discover"]

    def test_it_shows_every_family_that_can_see_something(self, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(self.flags(node)) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert re.search(r"^gpu\nRESOURCE .*\ngpu.intel.com/i915 +card0-0 ", out, re.MULTILINE)
        assert re.search(r"^sgx\nRESOURCE ", out, re.MULTILINE)

    def test_as_json_it_is_one_object_that_names_the_family_of_each_item(
        self, node: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*self.flags(node), "--output=json", "--families=gpu,sgx"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert set(found) == {"resources", "rejected", "problems"}
        assert {(item["family"], item["name"]) for item in found["resources"]} == {
            ("gpu", "gpu.intel.com/i915"),
            ("sgx", "sgx.intel.com/enclave"),
            ("sgx", "sgx.intel.com/provision"),
        }

    def test_when_no_family_can_see_anything_it_ends_with_1(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([f"--sysfs-root={tmp_path}/none", "discover", "--families=gpu"]) == 1
        assert capsys.readouterr().err.startswith("xpu-node-agent: gpu: no GPU can be seen: ")

    def test_a_family_that_cannot_see_anything_costs_only_itself(
        self, node: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (node / "sys/class/drm").rename(node / "sys/class/gone")
        assert main([*self.flags(node), "--output=json"]) == 0
        out, err = capsys.readouterr()
        assert err.startswith("xpu-node-agent: gpu: no GPU can be seen: ")
        assert {item["family"] for item in json.loads(out)["resources"]} == {"sgx"}


@pytest.mark.parametrize(
    "arguments", [["--output=json"], ["--families=fpga"], ["discover", "again"], ["--config=/none"]]
)
def test_a_bad_command_line_is_one_line_and_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("xpu-node-agent: ")


def test_a_familys_value_that_ends_its_own_program_with_1_ends_the_agent_with_2(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("dsa: {shared-dev-num: 0}")
    assert main([f"--config={tmp_path}/agent.yaml"]) == 2
