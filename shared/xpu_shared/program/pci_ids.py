"""The option kind of lists of PCI ids, with which an administrator allows or denies devices."""

import re
from dataclasses import dataclass

from xpu_shared.program.options import Option

PCI_ID = re.compile(r"0x[0-9a-f]{4}")


@dataclass(frozen=True, kw_only=True)
class PciIds(Option[tuple[str, ...]]):
    """Ids separated by commas; in YAML a list too."""

    @property
    def allowed(self) -> str:
        return "PCI ids such as 0x56c0,0xe20b"

    def parse(self, text: str) -> tuple[str, ...]:
        ids = tuple(part.strip(" ") for part in text.split(",")) if text else ()
        for id_ in ids:
            if not PCI_ID.fullmatch(id_):
                raise ValueError(f"{id_[:32]!a} is not 0x and four hexadecimal digits in lower case, {self.refusal()}")
        return ids

    def accept(self, value: object) -> tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        texts = [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
        if not isinstance(items, list) or len(texts) < len(items):
            raise ValueError(f"{self.refusal()}, in quotes because YAML takes them for numbers")
        return self.parse(",".join(texts))

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


def refuse_both(allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    """ValueError when both lists are given: it would not be clear which of them wins."""
    if allow and deny:
        texts = f"--allow-ids={','.join(allow)} and --deny-ids={','.join(deny)}"
        raise ValueError(f"{texts}: only one of the two lists can be given")
