"""What --help prints: the options by group, with their defaults."""

import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from xpu_shared.program.flags import dashed
from xpu_shared.program.options import Option
from xpu_shared.program.settings import CONFIG, KLOG_FLAGS, default_of, flag_name, options_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WIDTH = 100


def help_text(
    settings_type: "type[DataclassInstance]", *, program: str, description: str, words: Mapping[str, str]
) -> str:
    usage = f"Usage: {program} {' '.join(f'[{word}]' for word in words)}{' ' if words else ''}[flags]"
    lines = [usage, "", *textwrap.wrap(description, WIDTH)]
    if words:
        lines += ["", "Commands:", *(line for word, text in words.items() for line in _entry(word, text))]
    groups: dict[str, list[str]] = {}
    defaults = {field.name: default_of(field) for field in fields(settings_type)}
    for name, option in options_of(settings_type).items():
        shown = "" if defaults[name] is MISSING else option.show(defaults[name])
        default = f" (default {shown})" if shown and defaults[name] is not False else ""
        groups.setdefault(option.group, []).extend(_flag(flag_name(name), option, default))
    groups[CONFIG.group] += _flag("config", CONFIG, "")
    for name, option in KLOG_FLAGS.items():
        groups.setdefault(option.group, []).extend(_flag(name, option, ""))
    for group, entries in groups.items():
        lines += ["", f"{group}:", *entries]
    return "\n".join([*lines, "", "One dash or two, -name=value or -name value; a boolean takes a value only with =."])


def _flag(name: str, option: Option[Any], default: str) -> list[str]:
    return _entry(f"{dashed(name)} {option.placeholder}".rstrip(), option.help + default)


def _entry(head: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, WIDTH - 34)
    if len(head) > 31:
        return [f"  {head}", *(f"{'':34}{line}" for line in wrapped)]
    return [f"  {head:<31} {wrapped[0]}", *(f"{'':34}{line}" for line in wrapped[1:])]
