"""What --help prints: the options by group, with their defaults."""

import textwrap
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from xpu_shared.program.flags import dashed
from xpu_shared.program.options import Option
from xpu_shared.program.settings import CONFIG, KLOG_FLAGS, default_of, flag_name, options_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WIDTH = 100


def help_text(
    settings_type: "type[DataclassInstance]",
    *,
    program: str,
    description: str,
    words: Mapping[str, str],
    sections: Mapping[str, "type[DataclassInstance]"] = MappingProxyType({}),
    settings_file: bool = True,
) -> str:
    """The text; `sections` are settings that stand in sections of the file and are no flags."""
    usage = f"Usage: {program} {' '.join(f'[{word}]' for word in words)}{' ' if words else ''}[flags]"
    lines = [usage, "", *textwrap.wrap(description, WIDTH)]
    if words:
        lines += ["", "Commands:", *(line for word, text in words.items() for line in _entry(word, text))]
    groups: dict[str, list[str]] = {}
    defaults = {field.name: default_of(field) for field in fields(settings_type)}
    for name, option in options_of(settings_type).items():
        groups.setdefault(option.group, []).extend(_flag(flag_name(name), option, _default(option, defaults[name])))
    for name, option in ({"config": CONFIG, **KLOG_FLAGS} if settings_file else {}).items():
        groups.setdefault(option.group, []).extend(_flag(name, option, ""))
    for section, type_ in sections.items():
        groups[f"In the file, below {section}"] = _section(type_, besides=defaults.keys())
    for group, entries in groups.items():
        lines += ["", f"{group}:", *entries]
    return "\n".join([*lines, "", "One dash or two, -name=value or -name value; a boolean takes a value only with =."])


def _default(option: Option[Any], value: Any) -> str:
    shown = "" if value is MISSING else option.show(value)
    return f" (default {shown})" if shown and value is not False else ""


def _section(settings_type: "type[DataclassInstance]", *, besides: Collection[str]) -> list[str]:
    """The keys of a section: all but those that are flags of the program."""
    options = options_of(settings_type)
    return [
        line
        for field in fields(settings_type)
        if field.name not in besides
        for line in _entry(
            f"{flag_name(field.name)}: {options[field.name].placeholder or 'true|false'}",
            options[field.name].help + _default(options[field.name], default_of(field)),
        )
    ]


def _flag(name: str, option: Option[Any], default: str) -> list[str]:
    return _entry(f"{dashed(name)} {option.placeholder}".rstrip(), option.help + default)


def _entry(head: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, WIDTH - 34)
    if len(head) > 31:
        return [f"  {head}", *(f"{'':34}{line}" for line in wrapped)]
    return [f"  {head:<31} {wrapped[0]}", *(f"{'':34}{line}" for line in wrapped[1:])]
