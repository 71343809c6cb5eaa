import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from xpu_simulator.node import Node
from xpu_simulator.scenario import Scenario

PAGE = Path(__file__).parents[2] / "docs/simulator.md"


def scenario(*steps: Any) -> Scenario:
    return Scenario.model_validate({"steps": list(steps)})


def test_a_number_is_what_is_allocatable() -> None:
    (step,) = scenario({"expect": {"example.com/card": 4}}).steps
    assert (step.expect["example.com/card"].allocatable, step.expect["example.com/card"].capacity) == (4, None)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ({}, "a step needs expect, show or one of"),
        ({"note": "nothing"}, "a step needs expect, show or one of"),
        ({"add_gpu": "a", "remove_gpu": "b"}, "does one thing, not add and remove"),
        ({"pause": 1}, "pause"),
        ({"pause_seconds": "1s"}, "pause_seconds"),
        ({"pause_seconds": -1}, "pause_seconds"),
        ({"pause_seconds": float("nan")}, "pause_seconds"),
        ({"fault": {"gpu": "gpu0"}}, "expected clear or one of temperature, memory_health, bus"),
        ({"fault": {"temperature": 112}}, "gpu"),
        ({"fault": {"gpu": "gpu0", "temperature": 1000}}, "less than or equal to 250"),
        ({"fault": {"gpu": "gpu0", "temperature": float("nan")}}, "temperature"),
        ({"fault": {"gpu": "gpu0", "memory_health": "bad"}}, "'ok', 'degraded', 'critical' or 'replace'"),
        ({"fault": {"gpu": "gpu0", "sound": True}}, "sound"),
        ({"fault": {"gpu": "gpu0", "clear": True}, "kill": "x"}, "does one thing, not fault and kill"),
        ({"kubelet": "kill"}, "'restart', 'stop' or 'start'"),
        ({"rebind_gpu": {"gpu": "gpu0"}}, "driver"),
        ({"rebind": {"device": "gpu0", "driver": "../xe"}}, "driver"),
        ({"add": "a", "add_gpu": "b"}, "add_gpu"),
        ({"run_pod": {"name": "a", "resources": {}}}, "resources"),
        ({"run_pod": {"name": "a", "resources": {"card": 1}}}, "'card' is no resource name: it has no slash"),
        ({"run_pod": {"name": "a", "resources": {"example.com/card": 0}}}, "greater than or equal to 1"),
        ({"run_pod": {"name": "a b", "resources": {"example.com/card": 1}}}, "name"),
        ({"expect": {"example.com/card": {}}}, "expected a number, or allocatable and capacity"),
        ({"expect": {"example.com/card": -1}}, "greater than or equal to 0"),
        ({"expect": {"example.com/card": "4"}}, "expect"),
        ({"expect": {"example.com/card": True}}, "valid integer"),
        ({"expect": {"example.com/card": 1}, "within_seconds": 4000}, "within_seconds"),
        ("restart", "steps"),
    ],
)
def test_a_bad_step_is_refused(step: Any, error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        scenario(step)


def test_a_scenario_without_steps_is_refused() -> None:
    with pytest.raises(ValidationError, match="steps"):
        scenario()


def test_what_the_documentation_shows_can_be_read() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        document = yaml.safe_load(block)
        (Scenario if "steps" in document else Node).model_validate(document)


def test_the_documented_python_can_be_imported() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert "test_my_plugin" in names
