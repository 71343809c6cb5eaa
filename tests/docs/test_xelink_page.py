"""The sidecar's page: flags, metrics and reasons are the program's, its manifest is taken, labels are read as told."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from sidecars.xelink.test_worked_examples import SPLIT_INSIDE_A_LINK
from xpu_shared.labels.labeller import Labeller
from xpu_shared.program.settings import flag_name, load
from xpu_shared.telemetry.publisher import Publisher
from xpu_sidecars.xelink.labelling import labels
from xpu_sidecars.xelink.observation import XelinkCollector
from xpu_sidecars.xelink.settings import XelinkSettings
from xpu_sidecars.xelink.state import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/xelink-sidecar.md").read_text()
SCHEDULERS = (ROOT / "docs/schedulers.md").read_text()


def test_every_flag_is_on_the_page() -> None:
    names = {flag_name(field.name) for field in fields(XelinkSettings)} - {"v"}
    assert names == {name for name in names if f"`--{name}" in PAGE}


async def test_every_metric_is_on_the_page() -> None:
    publisher = Publisher([], source="xelink", node="n", validity=1.0)
    metrics = list(XelinkCollector(State(), publisher, Labeller([]), program="x").collect())
    publisher.close()
    names = [f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in metrics]
    assert [
        name for name in names if f"`{name}" not in PAGE and not name.startswith(("xpu_telemetry", "xpu_build"))
    ] == []


def test_every_reason_is_on_the_page() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "sidecars/xpu_sidecars/xelink").glob("*.py"))
    patterns = (
        r'SourceError\(\s*"([a-z ]+)"',
        r'errors\["([a-z ]+)"\]',
        r'note\(\w+, "([a-z ]+)"',
        r'reason = "([a-z]+)" if',
    )
    reasons = {reason for pattern in patterns for reason in re.findall(pattern, sources)}

    assert len(reasons) > 20
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in PAGE] == []


def test_the_directories_that_it_is_deployed_from_are_there_and_publish_where_the_page_says() -> None:
    section = PAGE.partition("## Deploying it")[2].partition("\n## ")[0]
    directories = re.findall(r"`((?:gpu_plugin|xpumanager_sidecar)[\w/-]*)`", section)
    (told,) = re.findall(r"`--telemetry=(\S+)`", section)

    assert len(directories) == 4
    assert [
        name for name in directories if not (ROOT / "deploy/kustomize" / name / "kustomization.yaml").exists()
    ] == []
    manifest = yaml.safe_load((ROOT / "deploy/kustomize/xpumanager_sidecar/base/xpu-xelink-sidecar.yaml").read_text())
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    settings = load(XelinkSettings, container["args"], program="x", description="x").settings
    assert settings.endpoints == (told,)
    assert container["image"] == "intel/intel-xpumanager-sidecar"
    assert f"`{container['image']}`" in section


def read(found: dict[str, str]) -> str:
    """The value as the page tells schedulers to read it."""
    value, number = found["gpu.intel.com/xe-links"], 2
    while (part := found.get(f"gpu.intel.com/xe-links{number}")) is not None:
        assert part.startswith("Z")
        value, number = value + part[1:], number + 1
    return value


def test_labels_are_read_as_the_page_says() -> None:
    found = dict(line.split("=") for line in SPLIT_INSIDE_A_LINK)
    value = read(found)
    assert labels("gpu.intel.com", value) == found
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+-[0-9]+\.[0-9]+", link) for link in value.split("_"))


@pytest.mark.parametrize("block", re.findall(r"```\n(gpu.intel.com/xe-links=.*?)```", SCHEDULERS, re.DOTALL))
def test_the_labels_on_the_schedulers_page_are_what_would_be_written(block: str) -> None:
    found = dict(line.split("=") for line in block.splitlines())
    assert labels("gpu.intel.com", read(found)) == found
