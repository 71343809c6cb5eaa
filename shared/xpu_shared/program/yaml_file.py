"""YAML files from people: bounded, without surprises, and with the line of every value for error messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpu_shared.program.flags import shown

if TYPE_CHECKING:
    import yaml
    from pydantic import ValidationError

LARGEST_FILE = 1024 * 1024  # bytes
DEEPEST = 32
KeyPath = tuple[str | int, ...]


class YamlError(Exception):
    """A file that cannot be used; one line with file, line and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    path: Path
    value: Any  # dicts, lists, texts, numbers, booleans, None
    lines: Mapping[KeyPath, int]  # where each key and list item begins, from 1

    def place(self, key_path: Sequence[str | int]) -> str:
        """FILE:LINE of a key or of the nearest thing around it."""
        path = tuple(key_path)
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.path}:{self.lines.get(path, 1)}"


def read(path: Path) -> Document:
    """Read one document.

    Raises:
        YamlError: no readable file, too large, not UTF-8, not one YAML document, nested too deep, or with repeated
            keys, aliases or tags.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror or error}") from None
    if len(data) > LARGEST_FILE:
        raise YamlError(f"{path}: larger than {LARGEST_FILE} bytes")
    try:
        return parse(data.decode(), path)
    except UnicodeDecodeError:
        raise YamlError(f"{path}: not UTF-8") from None


def parse(text: str, path: Path) -> Document:
    """Read a document's text; `path` is its name in errors."""
    import yaml  # noqa: PLC0415 - only YAML files pay for it

    try:
        _refuse_aliases_and_depth(yaml.parse(text, Loader=yaml.SafeLoader), path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlError(f"{path}:{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"{path}: {' '.join(str(error).split())}") from None
    lines: dict[KeyPath, int] = {}
    if node is None:
        return Document(path=path, value=None, lines=lines)
    return Document(path=path, value=_value(node, (), lines, path), lines=lines)


def _refuse_aliases_and_depth(events: "Any", path: Path) -> None:
    import yaml  # noqa: PLC0415 - as above

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"{path}:{line}: aliases (*name) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise YamlError(f"{path}:{line}: nested deeper than {DEEPEST}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _value(node: "yaml.Node", at: KeyPath, lines: dict[KeyPath, int], path: Path) -> Any:
    import yaml  # noqa: PLC0415 - as above

    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = _scalar(key_node, path)
            if not isinstance(key, str):
                raise YamlError(f"{path}:{line}: key {shown(key)}: expected a text")
            if key in value:
                raise YamlError(f"{path}:{line}: key {shown(key)} is given twice")
            lines[(*at, key)] = line
            value[key] = _value(value_node, (*at, key), lines, path)
        return value
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*at, number), lines, path) for number, item in enumerate(node.value)]
    return _scalar(node, path)


def _scalar(node: "yaml.Node", path: Path) -> Any:
    import yaml  # noqa: PLC0415 - as above

    line = node.start_mark.line + 1
    if not isinstance(node, yaml.ScalarNode):
        raise YamlError(f"{path}:{line}: a map or list cannot be a key")
    kinds = ("str", "int", "float", "bool", "null")
    if node.tag not in {f"tag:yaml.org,2002:{kind}" for kind in kinds}:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        raise YamlError(f"{path}:{line}: {shown(node.value)}: tags and merge keys are not allowed")
    try:
        return yaml.SafeLoader("").construct_object(node)
    except ValueError:
        return node.value  # a number that Python cannot make, such as one of 5,000 digits, stays text


def describe(error: "ValidationError", document: Document) -> str:
    """The first of pydantic's errors as one line with file, line, key, value and what was expected."""
    first = error.errors(include_url=False)[0]
    key_path = [part for part in first["loc"] if isinstance(part, str | int)]
    place = document.place(key_path)
    key = ".".join(str(part) for part in key_path)
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place}: unknown key {shown(key)}"
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not isinstance(first["input"], str | int | float | bool | None):
        return f"{place}: {key or 'the document'}: {reason}"
    return f"{place}: {key or 'the document'}: {reason}, found {shown(first['input'])}"
