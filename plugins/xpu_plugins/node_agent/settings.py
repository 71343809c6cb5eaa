"""What an administrator may choose; docs/node-agent.md explains it.

The agent's own settings, which hold for all families, are flags and keys at the top of the file. What is special about
a family stands in its section of the file: the settings of its own program, under the same names.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

from xpu_plugins.node_agent.families import FAMILIES, program
from xpu_shared.program.flags import HelpRequested, UnknownFlagError, UsageError, shown
from xpu_shared.program.options import Option
from xpu_shared.program.settings import FamilySettings, Given, Loaded, flag_name, gather, settle

if TYPE_CHECKING:
    from xpu_shared.program.yaml_file import Document

NAME = "xpu-node-agent"
DESCRIPTION = (
    "Offers the accelerators of this node to Kubernetes: the device plugins of several families in one process. "
    "Flags hold for all families; each family's own settings stand in its section of the file that --config names."
)
FAMILIES_GROUP = "Which families"
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class FamilyNames(Option[tuple[str, ...]]):
    """Names of families separated by commas, or `auto` for all; in YAML a list too."""

    @property
    def allowed(self) -> str:
        return f"{AUTO}, or some of {','.join(FAMILIES)} separated by commas"

    @property
    def placeholder(self) -> str:
        return f"{AUTO}|{','.join(FAMILIES)}"

    def parse(self, text: str) -> tuple[str, ...]:
        if text == AUTO:
            return tuple(FAMILIES)
        names = [name.strip(" ") for name in text.split(",")]
        if not all(name in FAMILIES for name in names):
            raise self.refusal()
        return tuple(dict.fromkeys(names))

    def accept(self, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            value = ",".join(value)
        return super().accept(value)

    def show(self, value: tuple[str, ...]) -> str:
        return AUTO if value == tuple(FAMILIES) else ",".join(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings(FamilySettings):
    families: Annotated[
        tuple[str, ...],
        FamilyNames(group=FAMILIES_GROUP, help="which ones are run; a family without hardware registers nothing"),
    ] = tuple(FAMILIES)


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    agent: Loaded[AgentSettings]
    families: Mapping[str, FamilySettings]  # of those that are run
    unused: Sequence[str]  # families that the file has a section for, and that are not run


def load(arguments: Sequence[str], *, words: Mapping[str, str]) -> LoadedAgent:
    """Settings from a command line, and from the file that its `--config` names.

    Raises:
        UsageError: a flag, a word or the file cannot be used.
        HelpRequested: help was asked for; its text is the exception's.
    """
    try:
        given = gather(AgentSettings, arguments, words=words)
    except HelpRequested:
        from xpu_shared.program.help import help_text  # noqa: PLC0415 - only help needs it

        types = {family: program(family).settings_type for family in FAMILIES}
        text = help_text(AgentSettings, program=NAME, description=DESCRIPTION, words=words, sections=types)
        raise HelpRequested(text) from None
    except UnknownFlagError as error:
        raise _of_a_family(error) from None
    if given.document is not None:
        _check_keys(given.document)
    agent = settle(AgentSettings, _top(given))
    chosen = agent.settings.families
    sections = [family for family in FAMILIES if given.document and family in given.document.value]
    settings = {family: _family(family, given) for family in dict.fromkeys((*chosen, *sections))}
    return LoadedAgent(
        agent=agent,
        families={family: settings[family] for family in chosen},
        unused=[family for family in sections if family not in chosen],
    )


def _keys(settings_type: type[FamilySettings]) -> frozenset[str]:
    return frozenset(flag_name(field.name) for field in fields(settings_type))


COMMON = _keys(AgentSettings)


def _own_keys(family: str) -> frozenset[str]:
    """The keys of a family's section."""
    return _keys(program(family).settings_type) - COMMON


def _families_with(key: str) -> list[str]:
    return [family for family in FAMILIES if key in _own_keys(family)]


def _of_a_family(error: UnknownFlagError) -> UsageError:
    """Many come from a single family's program with its flags, which here have another place."""
    families = _families_with(error.name)
    if not families:
        return error
    place = f"{error.name} stands in a section of --config's file: {', '.join(families)}"
    return UsageError(f"unknown flag {shown(error.argument)}; {place}")


def _check_keys(document: "Document") -> None:
    """See that each key may stand where it stands; UsageError."""
    for key in document.value:
        if key in COMMON or key in FAMILIES:
            continue
        families = _families_with(key)
        if families:
            text = f"{document.place((key,))}: {key}: expected it in the section of a family: {', '.join(families)}"
            raise UsageError(text)
        _refuse_unknown((key,), COMMON | FAMILIES.keys(), document)


def _refuse_unknown(key_path: tuple[str, ...], known: Collection[str], document: "Document") -> None:
    from xpu_shared.program.yaml_file import unknown_key  # noqa: PLC0415 - only --config pays for it

    raise UsageError(f"{document.place(key_path)}: {unknown_key('.'.join(key_path), known)}")


def _top(given: Given) -> Given:
    """Without the sections of families."""
    if given.document is None:
        return given
    value = {key: value for key, value in given.document.value.items() if key not in FAMILIES}
    return replace(given, document=replace(given.document, value=value))


def _family(family: str, given: Given) -> FamilySettings:
    """A family's settings: the common ones, and those of its section."""
    loaded = settle(program(family).settings_type, _with_section(family, given))
    settings: FamilySettings = program(family).settings(loaded)
    return settings


def _with_section(family: str, given: Given) -> Given:
    if given.document is None:
        return given
    section = _section(family, given)
    common = {flag_name(field.name) for field in fields(FamilySettings)}
    value = {key: value for key, value in given.document.value.items() if key in common}
    return replace(given, document=replace(given.document, value=value | section), section=(family,))


def _section(family: str, given: Given) -> dict[str, Any]:
    assert given.document is not None
    section = given.document.value.get(family)
    place = given.document.place((family,))
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise UsageError(f"{place}: {family}: expected a map of its settings, found {shown(section)}")
    own = _own_keys(family)
    for key in section:
        if key in COMMON:
            place = given.document.place((family, key))
            raise UsageError(f"{place}: {family}.{key}: it holds for all families, expected it at the top of the file")
        if key not in own:
            _refuse_unknown((family, key), own, given.document)
    return section
