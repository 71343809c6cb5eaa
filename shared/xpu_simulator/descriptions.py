"""Finds and reads the files that describe nodes and scenarios."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from xpu_shared.program import yaml_file
from xpu_shared.program.yaml_file import Document, YamlError
from xpu_simulator.errors import UnknownDeviceError, UsageError
from xpu_simulator.fabric.state import FabricState
from xpu_simulator.generator import Generator, canonical
from xpu_simulator.node import Gpu, Node
from xpu_simulator.scenario import Scenario, Step
from xpu_simulator.simulated_node import driver_refused

NODES = Path(__file__).with_name("examples") / "nodes"
SCENARIOS = NODES.with_name("scenarios")
Description = TypeVar("Description", bound=BaseModel)


def node_examples() -> list[str]:
    """The names of the nodes that are shipped."""
    return _names(NODES)


def scenario_examples() -> list[str]:
    return _names(SCENARIOS)


def read_node(name: str) -> Node:
    """Read a node from a file, or the example of that name: its own description, or a generator's configuration."""
    document = _read(name, NODES)
    if not _is_generator(document):
        return _validate(document, Node)
    try:
        return _generator(document).node()
    except ValidationError as error:
        raise UsageError(yaml_file.describe(error, document)) from None
    except ValueError as error:
        raise UsageError(f"{document.place(('Devices',))}: {error}") from None


def read_generator(name: str) -> Generator:
    """Read the configuration of the fake-device generator."""
    return _generator(_read(name, NODES))


def read_scenario(name: str, node: Node) -> Scenario:
    """Read a scenario for `node` from a file, or the example of that name."""
    document = _read(name, SCENARIOS)
    scenario = _validate(document, Scenario)
    for number, step in enumerate(scenario.steps):
        if reason := _impossible(step, node):
            raise UsageError(f"{document.place(('steps', number))}: {reason}")
    return scenario


def _impossible(step: Step, node: Node) -> str:
    """Why a step can never be done to this node, empty if it can."""
    if step.fault_link:
        try:
            FabricState(node.joints).set(*step.fault_link.between, step.fault_link.state)
        except UnknownDeviceError as error:
            return str(error)
    if step.device is None:
        return ""
    try:
        device = node.device(step.device)
    except KeyError as error:
        return str(error.args[0])
    if step.fault and not isinstance(device, Gpu):
        return f"{step.device} is no GPU, and only GPUs have sensors"
    if step.rebind and step.rebind.driver not in device.drivers:
        return driver_refused(device, step.rebind.driver)
    return ""


def _names(examples: Path) -> list[str]:
    return sorted(path.stem for path in examples.iterdir())


def _read(name: str, examples: Path) -> Document:
    path = _find(name, examples)
    try:
        try:
            return yaml_file.read(path)
        except YamlError:
            text = _json_text(path)
            if text is None:
                raise
            return yaml_file.parse(text, path)
    except YamlError as error:
        raise UsageError(str(error)) from None


def _json_text(path: Path) -> str | None:
    """JSON is YAML but for the tabs that may stand between its tokens."""
    try:
        with path.open("rb") as file:
            text = file.read(yaml_file.LARGEST_FILE).decode()
    except (OSError, UnicodeDecodeError):
        return None
    return text.replace("\t", " ") if "\t" in text and text.lstrip().startswith("{") else None


def _validate(document: Document, model: type[Description]) -> Description:
    if not isinstance(document.value, dict):
        keys = (field.alias or name for name, field in model.model_fields.items())
        raise UsageError(f"{document.place(())}: expected {' and '.join(keys)} as keys")
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise UsageError(yaml_file.describe(error, document)) from None


def _is_generator(document: Document) -> bool:
    return isinstance(document.value, dict) and any(canonical(key) == "DevCount" for key in document.value)


def _generator(document: Document) -> Generator:
    """Like Go's JSON, it matches fields whatever their case, and takes null for a field that is not given."""
    if not isinstance(document.value, dict):
        return _validate(document, Generator)
    values: dict[str, Any] = {}
    for key, value in document.value.items():
        name = canonical(key)
        if name in values:
            raise UsageError(f"{document.place((key,))}: field {name} is given twice, the second time as {key}")
        values[name] = value
    lines = {(canonical(str(path[0])), *path[1:]): line for path, line in document.lines.items() if path}
    given = {name: value for name, value in values.items() if value is not None}
    return _validate(replace(document, value=given, lines=lines), Generator)


def _find(name: str, examples: Path) -> Path:
    path = Path(name)
    if path.exists():
        return path
    for example in examples.iterdir():
        if example.stem == name:
            return example
    raise UsageError(f"{name}: no such file, and no example; there are {', '.join(_names(examples))}")
