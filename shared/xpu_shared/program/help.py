"""What --help prints: the options by group, with their defaults."""

import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from xpu_shared.program.options import Boolean, Option
from xpu_shared.program.settings import CONFIG, KLOG_FLAGS, PluginSettings, flag_name, options_of

WIDTH = 100


def help_text(settings_type: type[PluginSettings], *, program: str, description: str, words: Mapping[str, str]) -> str:
    usage = f"Usage: {program} {' '.join(f'[{word}]' for word in words)}{' ' if words else ''}[flags]"
    lines = [usage, "", *textwrap.wrap(description, WIDTH)]
    if words:
        lines += ["", "Commands:", *(line for word, text in words.items() for line in _entry(word, text))]
    groups: dict[str, list[str]] = {}
    defaults = {field.name: field.default for field in fields(settings_type)}
    for name, option in options_of(settings_type).items():
        shown = option.show(defaults[name])
        default = f" (default {shown})" if shown and not isinstance(option, Boolean) else ""
        groups.setdefault(option.group, []).extend(_flag(option.name or flag_name(name), option, default))
    groups[CONFIG.group] += _flag("config", CONFIG, "")
    for name, option in KLOG_FLAGS.items():
        groups.setdefault(option.group, []).extend(_flag(name, option, ""))
    for group, entries in groups.items():
        lines += ["", f"{group}:", *entries]
    return "\n".join([*lines, "", "One dash or two, -name=value or -name value; a boolean takes a value only with =."])


def _flag(name: str, option: Option[Any], default: str) -> list[str]:
    value = "" if isinstance(option, Boolean) else f" {type(option).__name__.lower()}"
    dashes = "-" if len(name) == 1 else "--"
    return _entry(f"{dashes}{name}{value}", option.help + default)


def _entry(head: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, WIDTH - 34)
    first = f"  {head:<31} {wrapped[0]}" if len(head) <= 31 else f"  {head}\n{'':34}{wrapped[0]}"
    return [first, *(f"{'':34}{line}" for line in wrapped[1:])]
