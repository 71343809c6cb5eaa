"""Finds and reads the YAML files that describe nodes and scenarios."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from xpu_shared.program import yaml_file
from xpu_shared.program.yaml_file import Document, YamlError
from xpu_simulator.errors import UsageError
from xpu_simulator.node import Node
from xpu_simulator.scenario import Scenario

EXAMPLES = Path(__file__).with_name("examples")
Description = TypeVar("Description", bound=BaseModel)


def examples() -> list[str]:
    """The names of the descriptions that are shipped."""
    return sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def read_node(name: str) -> Node:
    """Read the description of a node from a file, or the example of that name."""
    return _read(name, Node)[0]


def read_scenario(name: str, node: Node) -> Scenario:
    """Read a scenario for `node` from a file, or the example of that name."""
    scenario, document = _read(name, Scenario)
    names = [gpu.name for gpu in node.gpus]
    for number, step in enumerate(scenario.steps):
        if step.gpu and step.gpu not in names:
            place = document.place(("steps", number))
            raise UsageError(f"{place}: no GPU {step.gpu!r} in the node; it has {', '.join(names) or 'none'}")
    return scenario


def _read(name: str, model: type[Description]) -> tuple[Description, Document]:
    try:
        document = yaml_file.read(_find(name))
    except YamlError as error:
        raise UsageError(str(error)) from None
    if not isinstance(document.value, dict):
        raise UsageError(f"{document.place(())}: expected {' and '.join(model.model_fields)} as keys")
    try:
        return model.model_validate(document.value), document
    except ValidationError as error:
        raise UsageError(yaml_file.describe(error, document)) from None


def _find(name: str) -> Path:
    path = Path(name)
    if name in examples() and not path.exists():
        return EXAMPLES / f"{name}.yaml"
    if not path.exists():
        raise UsageError(f"{name}: no such file, and no example; there are {', '.join(examples())}")
    return path
