"""An object of a layout file while it is read: values that are checked, refusals that say where."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xpu_plugins.idxd_provision.device import Attributes, Device, integer
from xpu_plugins.idxd_provision.layout import OLD_KEYS
from xpu_shared.program.flags import shown
from xpu_shared.provisioning.plan import RefusedError


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of the file, with its place there."""

    values: Mapping[str, Any]
    path: str
    device: Device
    subject: str  # what a refusal begins with: file and device
    notes: list[str]

    def at(self, key: str) -> str:
        return f"{self.path}.{key}".lstrip(".")

    def children(self, key: str) -> "Sequence[Entry]":
        values = self.values.get(key) or ()
        return [replace(self, values=value, path=f"{self.at(key)}[{number}]") for number, value in enumerate(values)]

    def get(self, key: str) -> Any:
        """A value, also by the key's old name."""
        for old, new in OLD_KEYS.items():
            if new == key and self.values.get(old) is not None:
                self.notes.append(f"{self.at(old)}: deprecated, its name is {key} now")
                return self.values[old]
        return self.values.get(key)

    def number_of(
        self, what: str, limit: int | None, present: Mapping[int, Attributes], taken: Mapping[int, Attributes]
    ) -> int:
        """The number that `dev` gives a group, queue or engine of this device."""
        dev = self.values["dev"]
        match = re.fullmatch(rf"{what}(X|0|[1-9][0-9]{{0,5}})\.(0|[1-9][0-9]{{0,5}})", dev)
        if match is None or match[1] not in ("X", str(self.device.number)):
            raise self.refusal("dev", f"a {what} of this device such as {what}{self.device.number}.0", dev)
        number = int(match[2])
        most = len(present) if limit is None else min(limit, len(present))
        if number not in present or number >= most:
            raise self.refusal("dev", f"one of the device's {most}, {what}{self.device.number}.0 and so on", dev)
        if number in taken:
            raise self.refusal("dev", "each once", dev)
        return number

    def integer(self, key: str, minimum: int, maximum: int, default: int | None = None) -> int:
        """A number, which may be written as a text; a default of None means that it is needed."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        number = integer(value.strip()) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int) or not minimum <= number <= maximum:
            raise self.refusal(key, f"{minimum} to {maximum}", value)
        return number

    def optional(self, key: str, minimum: int, maximum: int) -> int | None:
        return None if self.get(key) is None else self.integer(key, minimum, maximum)

    def word(self, key: str, allowed: Sequence[str]) -> str:
        value = self.get(key)
        if value not in allowed:
            raise self.refusal(key, " or ".join(allowed), value)
        return str(value)

    def refusal(self, key: str, expected: str, found: object) -> RefusedError:
        text = "nothing" if found is None else shown(found)
        return RefusedError(f"{self.subject}: {self.at(key)}: expected {expected}, found {text}")
