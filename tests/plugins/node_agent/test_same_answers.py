"""A section means to the agent what the same file means to the family's own program, mistakes included."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xpu_plugins.node_agent.families import FAMILIES, program
from xpu_plugins.node_agent.settings import load
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import FamilySettings, flag_name

COMMON = {field.name for field in fields(FamilySettings)}
VALUES = st.sampled_from(
    [0, 1, 4, -1, 10**6, 1.5, True, False, None, "", "4", "none", "all", "pack", "sriov", "true"]
) | (st.lists(st.sampled_from(["0x56c0", "0xe20b", "x", 1]), max_size=2) | st.text(max_size=4))


def keys(family: str) -> list[str]:
    return [flag_name(field.name) for field in fields(program(family).settings_type) if field.name not in COMMON]


def alone(family: str, file: Path) -> object:
    chosen = program(family)
    try:
        return chosen.settings(chosen.load([f"--config={file}"]))
    except UsageError as error:
        return str(error)


def in_the_agent(family: str, file: Path) -> object:
    try:
        return load([f"--config={file}", f"--families={family}"], words={}).families[family]
    except UsageError as error:
        return str(error)


def shortened(answer: object, family: str, file: Path) -> object:
    """An error without its place in the file and the name of the section, and without the keys that are allowed."""
    if not isinstance(answer, str):
        return answer
    answer = re.sub(r"(unknown key '[^']*').*", r"\1", answer)
    return (
        re.sub(rf"^{re.escape(str(file))}(:[0-9]+)?: ", "", answer)
        .replace(f"{family}.", "")
        .removeprefix(f"{family}: ")
    )


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_same_section_has_the_same_meaning(family: str, tmp_path: Path, data: st.DataObject) -> None:
    section: dict[str, Any] = data.draw(st.dictionaries(st.sampled_from([*keys(family), "colour"]), VALUES, max_size=3))
    single, agent = tmp_path / "single.yaml", tmp_path / "agent.yaml"
    single.write_text(yaml.safe_dump(section))
    agent.write_text(yaml.safe_dump({family: section}))

    answer = in_the_agent(family, agent)

    assert shortened(answer, family, agent) == shortened(alone(family, single), family, single)
