"""Kinds of options: what a flag's text or a value from YAML must look like, said once in a dataclass's `Annotated`.

`parse` takes a flag's text in Go's syntax, `accept` a value out of YAML; both end in the same checks. pydantic calls
`accept` and nothing else, so that flags and YAML give the same answers. A new kind is a subclass of `Option` with
`allowed` and `parse`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")


class OutOfRangeError(ValueError):
    """A value that reads well and is not allowed, of an option that ends its program with 1 because of it."""


TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))  # as Go's strconv.ParseBool
FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
# As Go's strconv.ParseInt with base 0: underscores only between digits, or after a prefix, and a leading 0 is octal.
INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)
# As Go's time.ParseDuration, but without a sign; the two letters for micro are U+00B5 and U+03BC.
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
DURATION = re.compile(rf"0|(?:{DURATION_PART.pattern})+")
UNITS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_NUMBER = 100  # characters: enough for any number in range, too few to be slow
HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]*)|\[(?P<ipv6>[0-9A-Fa-f:.]+)(?P<zone>%[A-Za-z0-9._-]+)?\]")


@dataclass(frozen=True, kw_only=True)
class Option(Generic[T]):
    """What all kinds share. A kind overrides `allowed` and `parse`, and `accept` if YAML has it as another type."""

    repeatable: ClassVar[bool] = False  # given again, a flag adds to its values, which are a tuple

    help: str
    group: str = "Options"
    out_of_range_exit: int = 2  # 1 where the program that ours replaces ends with 1 for a number or word not allowed

    @property
    def allowed(self) -> str:
        """What a value may be, for errors and help."""
        raise NotImplementedError  # every kind says it

    @property
    def placeholder(self) -> str:
        """What stands for the value in help."""
        return type(self).__name__.lower()

    def parse(self, text: str) -> T:
        """The value of a flag's text; ValueError when it is not allowed."""
        raise NotImplementedError  # every kind does it

    def accept(self, value: object) -> T:
        """The value of a YAML value; ValueError when it is not allowed."""
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, int | float) and self._would_parse(str(value)):
            raise ValueError(f"{self.refusal()}, in quotes because YAML does not take it for a text")
        raise self.refusal()

    def _would_parse(self, text: str) -> bool:
        try:
            self.parse(text)
        except ValueError:
            return False
        return True

    def show(self, value: T) -> str:
        """A value as a flag's text, for help."""
        return str(value)

    def refusal(self) -> ValueError:
        return ValueError(f"expected {self.allowed}")

    def out_of_range(self) -> ValueError:
        """Of a value that reads well."""
        return self.refusal() if self.out_of_range_exit == 2 else OutOfRangeError(f"expected {self.allowed}")

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> Any:
        """pydantic's hook: a value of this option is whatever `accept` says."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only YAML settings pay for it

        return core_schema.no_info_plain_validator_function(self.accept)


@dataclass(frozen=True, kw_only=True)
class Boolean(Option[bool]):
    @property
    def allowed(self) -> str:
        return "true or false"

    @property
    def placeholder(self) -> str:
        return ""  # a value is only taken with =

    def parse(self, text: str) -> bool:
        if text not in TRUE | FALSE:
            raise self.refusal()
        return text in TRUE

    def accept(self, value: object) -> bool:
        # Go's 1 and 0 are numbers in YAML.
        return self.parse(str(value)) if isinstance(value, bool | int) else super().accept(value)

    def show(self, value: bool) -> str:
        return str(value).lower()


@dataclass(frozen=True, kw_only=True)
class Integer(Option[int]):
    minimum: int = -(2**63)
    maximum: int = 2**63 - 1

    @property
    def allowed(self) -> str:
        if (self.minimum, self.maximum) == (-(2**63), 2**63 - 1):
            return "an integer"
        return f"an integer from {self.minimum} to {self.maximum}"

    def parse(self, text: str) -> int:
        try:
            value = go_integer(text)
        except ValueError:
            raise self.refusal() from None
        return self._bounded(value)

    def accept(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return self._bounded(value)
        return super().accept(value)

    def _bounded(self, value: int) -> int:
        if not self.minimum <= value <= self.maximum:
            raise self.out_of_range()
        return value


def go_integer(text: str) -> int:
    """An integer as Go spells it, of any size; ValueError when it is none."""
    if len(text) > LONGEST_NUMBER or not INTEGER.fullmatch(text):
        raise ValueError("not an integer")
    digits = text.replace("_", "").lower()
    octal = re.fullmatch(r"[+-]?0[0-7]+", digits)
    return int(digits, base=8 if octal else 0)


@dataclass(frozen=True, kw_only=True)
class Text(Option[str]):
    shortest: int = 0
    longest: int = 4096

    @property
    def allowed(self) -> str:
        return f"a text of {f'{self.shortest} to' if self.shortest else 'at most'} {self.longest} characters"

    def parse(self, text: str) -> str:
        if not self.shortest <= len(text) <= self.longest or "\0" in text:
            raise self.refusal()
        return text


@dataclass(frozen=True, kw_only=True)
class Choice(Option[str]):
    values: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return f"one of {', '.join(self.values)}"

    @property
    def placeholder(self) -> str:
        return "|".join(self.values)

    def parse(self, text: str) -> str:
        if text not in self.values:
            raise self.out_of_range()
        return text


@dataclass(frozen=True, kw_only=True)
class InstanceName(Option[str]):
    """A pod's UID, or any other name that can be part of a socket's."""

    @property
    def allowed(self) -> str:
        return "up to 63 letters, digits and '-', such as a pod's UID"

    @property
    def placeholder(self) -> str:
        return "name"

    def parse(self, text: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]{0,63}", text):
            raise self.refusal()
        return text


@dataclass(frozen=True, kw_only=True)
class FilePath(Option[Path | None]):
    @property
    def allowed(self) -> str:
        return "a path"

    @property
    def placeholder(self) -> str:
        return "path"

    def parse(self, text: str) -> Path:
        if not text or "\0" in text:
            raise self.refusal()
        return Path(text)

    def show(self, value: Path | None) -> str:
        return "" if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Duration(Option[float]):
    """Go's syntax, such as 1m30s or 250ms; the value is in seconds."""

    minimum: float = 0.0
    maximum: float = 7 * 24 * 3600.0

    @property
    def allowed(self) -> str:
        return f"a duration such as 90s or 1m30s, from {go_duration(self.minimum)} to {go_duration(self.maximum)}"

    def parse(self, text: str) -> float:
        if len(text) > LONGEST_NUMBER or not DURATION.fullmatch(text):
            raise self.refusal()
        value = sum((float(number) * UNITS[unit] for number, unit in DURATION_PART.findall(text)), start=0.0)
        if not self.minimum <= value <= self.maximum:
            raise self.refusal()
        return value

    def accept(self, value: object) -> float:
        # Of numbers without a unit Go takes only 0.
        if isinstance(value, int) and not isinstance(value, bool):
            return self.parse(str(value))
        return super().accept(value)

    def show(self, value: float) -> str:
        return go_duration(value)


def go_duration(seconds: float) -> str:
    """Seconds in Go's syntax, short: 600 is 10m."""
    parts, rest = "", round(seconds, 3)
    for unit, size in (("h", 3600), ("m", 60)):
        whole, rest = divmod(rest, size)
        parts += f"{whole:g}{unit}" if whole else ""
    return parts + f"{round(rest, 3):g}s" if rest or not parts else parts


@dataclass(frozen=True, slots=True)
class ListenAddress:
    host: str  # empty: all addresses
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Address(Option[ListenAddress | None]):
    """Where to listen, in Go's syntax: `:9101`, `127.0.0.1:9101`, `[::1]:9101`."""

    @property
    def allowed(self) -> str:
        return "an address such as :9101 or 127.0.0.1:9101"

    def parse(self, text: str) -> ListenAddress:
        host, colon, port = text.rpartition(":")
        if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535 or not _is_host(host):
            raise self.refusal()
        return ListenAddress(host=host.strip("[]"), port=int(port))

    def show(self, value: ListenAddress | None) -> str:
        return "" if value is None else str(value)


def _is_host(text: str) -> bool:
    """Nothing, a name, an IPv4 address, or an IPv6 address in brackets."""
    import socket  # noqa: PLC0415 - only an address needs it

    match = HOST.fullmatch(text)
    if not match or len(text) > 253:
        return False
    try:
        if match["ipv6"]:
            socket.inet_pton(socket.AF_INET6, match["ipv6"])
        elif re.fullmatch(r"[0-9.]+", text):
            socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return False
    return True
