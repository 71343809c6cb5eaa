"""The page about installing names all there is to install: kustomizations, and sections of the chart's values."""

import re
from pathlib import Path

import yaml

from deploy.rendering import CHART, kustomizations

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/install.md").read_text()


def test_every_kustomization_is_in_the_table_and_nothing_else_is() -> None:
    table = PAGE.split("| Directory below `deploy/kustomize` |")[1].split("\n\n")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}
    named = {name.replace("…", "level_zero_sidecar/overlays") for name in named}
    roots = {directory.removesuffix("/base") for directory in kustomizations()}

    assert named == roots


def test_every_directory_that_a_command_applies_is_there() -> None:
    pages = [page.read_text() for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]]
    applied = {name for page in pages for name in re.findall(r"-k deploy/kustomize/([\w/-]+)", page)}
    assert applied
    assert applied <= set(kustomizations())


def test_every_section_of_the_values_is_explained() -> None:
    table = PAGE.split("| Section | What it does |")[1].split("\n\n")[0]
    for section in yaml.safe_load((CHART / "values.yaml").read_text()):
        assert f"`{section}`" in table, section
