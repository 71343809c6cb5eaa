"""What an administrator may say of single queues: how many containers share one, and which resource it belongs to."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import eq, ge, le

from xpu_shared.program.flags import shown
from xpu_shared.program.options import Option

MOST_SHARED = 100_000  # containers to a queue
MOST_RULES = 64
NUMBERS = ("size", "priority", "threshold", "group_id")  # attributes of a queue that rules may compare
RULE = re.compile(rf"(?:name=(?P<glob>[^,]+)|(?P<field>{'|'.join(NUMBERS)})(?P<sign>=|>=|<=)(?P<value>[0-9]{{1,9}}))")
SIGNS: dict[str, Callable[[int, int], bool]] = {"=": eq, ">=": ge, "<=": le}
RESOURCE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,30}[a-z0-9])?")

ReadAttribute = Callable[[str], str]  # a queue's attribute by name; OSError, MalformedAttributeError


@dataclass(frozen=True, slots=True)
class ShareRule:
    """`name=app*:8` or `size>=32:16`."""

    text: str
    shares: int

    def matches(self, read: ReadAttribute) -> bool:
        """Whether it is about the queue; one whose attribute is no number does not match.

        Raises:
            OSError, MalformedAttributeError: the attribute cannot be read.
        """
        match = RULE.fullmatch(self.text)
        assert match
        if match["glob"] is not None:
            return fnmatchcase(read("name"), match["glob"])
        found = read(match["field"])
        return bool(re.fullmatch(r"[0-9]{1,9}", found)) and SIGNS[match["sign"]](int(found), int(match["value"]))


@dataclass(frozen=True, kw_only=True)
class ShareRules(Option[tuple[ShareRule, ...]]):
    """Rules separated by commas; in YAML a list too. The first that matches counts."""

    @property
    def allowed(self) -> str:
        return f"rules such as name=app*:8,size>=32:16 (name, {', '.join(NUMBERS)}; 1 to {MOST_SHARED} containers)"

    @property
    def placeholder(self) -> str:
        return "rules"

    def parse(self, text: str) -> tuple[ShareRule, ...]:
        rules = tuple(self._rule(part.strip(" ")) for part in text.split(",")) if text else ()
        if len(rules) > MOST_RULES:
            raise ValueError(f"at most {MOST_RULES} rules, {self.refusal()}")
        return rules

    def _rule(self, text: str) -> ShareRule:
        condition, _, shares = text.rpartition(":")
        if not RULE.fullmatch(condition) or not re.fullmatch(r"[0-9]{1,6}", shares):
            raise ValueError(f"{shown(text)} is no rule, {self.refusal()}")
        if not 1 <= int(shares) <= MOST_SHARED:
            raise ValueError(f"{shown(text)}: expected 1 to {MOST_SHARED} containers")
        return ShareRule(condition, int(shares))

    def accept(self, value: object) -> tuple[ShareRule, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.refusal()
        return self.parse(",".join(items))

    def show(self, value: tuple[ShareRule, ...]) -> str:
        return ",".join(f"{rule.text}:{rule.shares}" for rule in value)


@dataclass(frozen=True, kw_only=True)
class NamePattern(Option[re.Pattern[str] | None]):
    """A regular expression with a group `res`."""

    @property
    def allowed(self) -> str:
        return "a regular expression with a group res, such as '^(?P<res>[a-z0-9-]+)_'"

    @property
    def placeholder(self) -> str:
        return "pattern"

    def parse(self, text: str) -> re.Pattern[str]:
        try:
            pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{error}, {self.refusal()}") from None
        if "res" not in pattern.groupindex:
            raise ValueError(f"there is no group res, {self.refusal()}")
        return pattern

    def show(self, value: re.Pattern[str] | None) -> str:
        return value.pattern if value else ""


def resource_of(pattern: re.Pattern[str], name: str) -> str:
    """What a queue's name adds to its resource's; empty when the pattern does not match.

    Raises:
        ValueError: what it would add cannot be part of a resource's name.
    """
    match = pattern.search(name)
    if match is None or not match["res"]:
        return ""
    if not RESOURCE.fullmatch(match["res"]):
        raise ValueError(f"{shown(match['res'])} of its name cannot be part of a resource's name")
    return match["res"]
