"""YAML files from people: bounded, without surprises, and with the line of every value for error messages.

Plain text is a number or nothing where YAML 1.1 says so, with three exceptions: only `true` and `false` are booleans
(not `yes`, `no`, `on`, `off`), integers are those that Go's programs take as flags, and dates stay text.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpu_shared.program.flags import closest, shown
from xpu_shared.program.options import FALSE, LONGEST_NUMBER, TRUE, go_integer

if TYPE_CHECKING:
    import yaml
    from pydantic import ValidationError

LARGEST_FILE = 1024 * 1024  # bytes
DEEPEST = 32
LONGEST_KEY = 120  # characters of a key path in an error
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
        return f"{named(self.path)}:{self.lines.get(path, 1)}"


def named(path: Path) -> str:
    """A file's name on one line."""
    return str(path) if str(path).isprintable() else shown(str(path))


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
        raise YamlError(f"{named(path)}: {error.strerror or error}") from None
    if len(data) > LARGEST_FILE:
        raise YamlError(f"{named(path)}: larger than {LARGEST_FILE} bytes")
    try:
        return parse(data.decode(), path)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(f"{named(path)}: not UTF-8 in line {line}") from None


def parse(text: str, path: Path) -> Document:
    """Read a document's text; `path` is its name in errors."""
    import yaml  # noqa: PLC0415 - only YAML files pay for it

    # The parser in C takes 1 s for a file of the largest size, the one in Python 10 s; not every PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_aliases_tags_and_depth(yaml.parse(text, Loader=loader), path)
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        # At an unexpected end the parser in C is already a line further.
        line = min(_line(error.problem_mark or error.context_mark), len(text.splitlines()) or 1)
        reasons = [reason for reason in (error.context, error.problem) if reason]
        raise YamlError(f"{named(path)}:{line}: {', '.join(reasons)}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"{named(path)}: {' '.join(str(error).split())}") from None
    if node is None:
        return Document(path=path, value=None, lines={})
    values = Values(path)
    return Document(path=path, value=values.value(node, ()), lines=values.lines)


def _refuse_aliases_tags_and_depth(events: "Iterable[yaml.Event]", path: Path) -> None:
    import yaml  # noqa: PLC0415 - as above

    depth = 0
    for event in events:
        line = _line(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"{named(path)}:{line}: aliases (*name) are not allowed")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            found = event.value if isinstance(event, yaml.ScalarEvent) else event.tag
            raise YamlError(f"{named(path)}:{line}: {shown(found)}: tags and merge keys are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise YamlError(f"{named(path)}:{line}: nested deeper than {DEEPEST}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(mark: "yaml.Mark | yaml._yaml.Mark | None") -> int:
    return mark.line + 1 if mark else 1


class Values:
    """Makes values of YAML's nodes, and remembers their lines."""

    def __init__(self, path: Path) -> None:
        from yaml.constructor import SafeConstructor  # noqa: PLC0415 - as above

        self.lines: dict[KeyPath, int] = {}
        self._path = path
        self._constructor = SafeConstructor()

    def value(self, node: "yaml.Node", at: KeyPath) -> Any:
        import yaml  # noqa: PLC0415 - as above

        self.lines.setdefault(at, _line(node.start_mark))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*at, number)) for number, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: "yaml.MappingNode", at: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node.start_mark)
            place = f"{named(self._path)}:{line}"
            key = self._scalar(key_node)
            if isinstance(key, list):
                raise YamlError(f"{place}: a map or list cannot be a key")
            if not isinstance(key, str):
                raise YamlError(f"{place}: key {shown(key)}: expected a text")
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise YamlError(f"{place}: {shown(key)}: tags and merge keys are not allowed")
            if key in values:
                raise YamlError(f"{place}: key {shown(key)} is given twice")
            self.lines[*at, key] = line
            values[key] = self.value(value_node, (*at, key))
        return values

    def _scalar(self, node: "yaml.Node") -> object:
        """The value of one node; a number that is too long, or no number to Go, stays text."""
        import yaml  # noqa: PLC0415 - as above

        kind, text = node.tag.removeprefix("tag:yaml.org,2002:"), node.value
        if kind == "null":
            return None
        if kind == "bool" and text in TRUE | FALSE:
            return text in TRUE
        try:
            if kind == "int":
                return go_integer(text)
            if isinstance(node, yaml.ScalarNode) and kind == "float" and len(text) <= LONGEST_NUMBER:
                return self._constructor.construct_yaml_float(node)
        except ValueError:
            pass
        return text


def unknown_key(key: str, known: Collection[str]) -> str:
    """What there is to say of a key, with its path; `known` are those that may stand where it stands."""
    close = closest(key.rpartition(".")[2], known)
    if close is not None:
        return f"unknown key {shown(key)}; did you mean {close}?"
    return f"unknown key {shown(key)}" + (f": expected one of {', '.join(sorted(known))}" if known else "")


def describe(error: "ValidationError", document: Document, section: KeyPath = ()) -> str:
    """The first of pydantic's errors as one line with file, line, key, value and what was expected.

    Args:
        section: the key below which that stands which was checked.
    """
    first = error.errors(include_url=False)[0]
    key_path = [*section, *(part for part in first["loc"] if isinstance(part, str | int))]
    place = document.place(key_path)
    key = ".".join(str(part) for part in key_path) or "the document"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place}: {unknown_key(key, ())}"
    subject = key if key.isprintable() and len(key) <= LONGEST_KEY else shown(key)
    reason = " ".join(first["msg"].removeprefix("Value error, ").removeprefix("Input should be ").split())
    # A map is left out: of a model's own rule it is the whole model.
    if first["type"] == "missing" or not isinstance(first["input"], str | int | float | bool | list | None):
        return f"{place}: {subject}: {reason}"
    return f"{place}: {subject}: {reason}, found {shown(first['input'])}"
