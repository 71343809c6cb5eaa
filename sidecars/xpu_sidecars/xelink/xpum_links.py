"""XPU Manager's samples to links and to the label's value, the latter byte for byte as the program before ours.

Devices are numbers there, XPU Manager's own; addresses come from the samples' `pci_bdf`, that of their local side.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xpu_shared.telemetry.decoding import PCI_ADDRESS
from xpu_shared.telemetry.fabric import End
from xpu_shared.telemetry.readings import SourceProblem
from xpu_shared.telemetry.topology import Link, LinkHealth, TopologyDevice
from xpu_sidecars.xelink.metrics_text import Sample
from xpu_sidecars.xelink.reading import MOST_LINKS, Reading, SourceError

SOURCE = "xpum-1.x"
DIRECT = 1.0  # the value of a direct link; others are ways over other tiles, buses and processors
NUMBER = re.compile(r"\+?[0-9]{1,20}")
LARGEST = 65_535
SIDES = ("local", "remote")
LANE_COUNTS = ("lane_count", "lan_count")
USUAL_SIGHTINGS = 2  # of one link: both directions are exported

Tile = tuple[int, int]  # device, tile


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """Which links the label has; what is published has all."""

    lanes: int = 4  # at least
    subdeviceless: bool = False  # also those whose local side is a device without tiles


@dataclass(frozen=True, slots=True)
class Sighting:
    """One sample of a direct link."""

    local: Tile
    remote: Tile
    lanes: int
    on_subdevice: bool  # the local side


@dataclass(slots=True)
class _Known:
    """What samples of any value say of devices."""

    addresses: dict[int, str] = field(default_factory=dict)
    tiles: Counter[int] = field(default_factory=Counter)
    whole: set[int] = field(default_factory=set)  # devices without tiles
    errors: Counter[str] = field(default_factory=Counter)


def reading(samples: Sequence[Sample], rules: LabelRules) -> Reading:
    """The fabric that the samples of a page describe.

    Raises:
        SourceError: there are more links than any node has.
    """
    known = _Known()
    sightings = list(_sightings(samples, known))
    lanes = _lanes(sightings)
    problems = list(_disagreements(sightings, known))
    if len(lanes) > MOST_LINKS:
        raise SourceError("too many links", f"{len(lanes)} links, at most {MOST_LINKS} are possible")
    return Reading(
        source=SOURCE,
        devices=tuple(_devices(known)),
        links=tuple(_links(lanes, known, problems)),
        problems=tuple(problems),
        value=label_value(sightings, lanes, rules, known.errors),
        errors=known.errors,
    )


def _sightings(samples: Sequence[Sample], known: _Known) -> Iterator[Sighting]:
    for sample in samples:
        labels = sample.labels
        _note_device(labels, known)
        if sample.value != DIRECT:
            continue
        numbers = [number(labels.get(f"{side}_{what}_id")) for side in SIDES for what in ("device", "subdevice")]
        # The later one on the line wins; one of the two names is a misspelling of old versions.
        lanes = number(next((labels[name] for name in reversed(list(labels)) if name in LANE_COUNTS), None))
        if lanes is None or None in numbers:
            known.errors["bad sample"] += 1
            continue
        device, tile, other, other_tile = (one for one in numbers if one is not None)
        if (device, tile) == (other, other_tile):
            known.errors["self link"] += 1
            continue
        on_subdevice = labels.get("local_on_subdevice", "true") == "true"
        yield Sighting((device, tile), (other, other_tile), lanes, on_subdevice)


def number(text: str | None) -> int | None:
    """A plain decimal number up to `LARGEST`, None when it is none."""
    if text is None or not NUMBER.fullmatch(text) or not text.isascii():
        return None
    value = int(text)
    return value if value <= LARGEST else None


def _note_device(labels: Mapping[str, str], known: _Known) -> None:
    device, tile = number(labels.get("local_device_id")), number(labels.get("local_subdevice_id"))
    if device is None:
        return
    if labels.get("local_on_subdevice") == "false":
        known.whole.add(device)
    elif tile is not None:
        known.tiles[device] = max(known.tiles[device], tile + 1)
    address = labels.get("pci_bdf", "")[:16].lower()
    if not address:
        return
    if not PCI_ADDRESS.fullmatch(address):
        known.errors["bad address"] += 1
    elif known.addresses.setdefault(device, address) != address:
        known.errors["two addresses"] += 1


def _lanes(sightings: Sequence[Sighting]) -> dict[tuple[Tile, Tile], int]:
    """Of each pair of tiles, the lower one first: of a direction the least that is said, of both the most."""
    directions: dict[tuple[Tile, Tile], int] = {}
    for sighting in sightings:
        way = (sighting.local, sighting.remote)
        directions[way] = min(directions.get(way, sighting.lanes), sighting.lanes)
    lanes: dict[tuple[Tile, Tile], int] = {}
    for (one, other), count in directions.items():
        pair = (min(one, other), max(one, other))
        lanes[pair] = max(lanes.get(pair, 0), count)
    return lanes


def _disagreements(sightings: Sequence[Sighting], known: _Known) -> Iterator[SourceProblem]:
    """Pairs of tiles of which samples tell different lanes."""
    told: dict[tuple[Tile, Tile], set[int]] = {}
    for sighting in sightings:
        pair = (min(sighting.local, sighting.remote), max(sighting.local, sighting.remote))
        told.setdefault(pair, set()).add(sighting.lanes)
    for ((device, tile), (other, other_tile)), lanes in sorted(told.items()):
        if len(lanes) > 1:
            known.errors["lanes differ"] += 1
            texts = " and ".join(map(str, sorted(lanes)))
            yield SourceProblem(subject=f"link {device}.{tile}-{other}.{other_tile}", text=f"has {texts} lanes")


def _devices(known: _Known) -> Iterator[TopologyDevice]:
    taken: set[str] = set()
    for device, address in sorted(known.addresses.items()):
        if address in taken:
            known.errors["two devices"] += 1
            continue
        taken.add(address)
        tiles = known.tiles[device] or (1 if device in known.whole else None)
        yield TopologyDevice(pci_address=address, index=device, tiles=tiles)


def _links(lanes: Mapping[tuple[Tile, Tile], int], known: _Known, problems: list[SourceProblem]) -> Iterator[Link]:
    for (one, other), count in sorted(lanes.items()):
        missing = [device for device, _ in (one, other) if device not in known.addresses]
        if missing:
            known.errors["unknown device"] += 1
            problems.append(
                SourceProblem(subject=f"device {missing[0]}", text="it has links, and no sample has its PCI address")
            )
            continue
        a, b = (End(known.addresses[device], tile, device in known.whole) for device, tile in (one, other))
        if a != b:
            yield Link(a=a, b=b, lanes=count, status=LinkHealth.HEALTHY)


def label_value(
    sightings: Sequence[Sighting],
    lanes: Mapping[tuple[Tile, Tile], int],
    rules: LabelRules,
    errors: Counter[str],
) -> str:
    """The links in the order of their first sample that passes. Those within one device appear in both directions."""
    seen: Counter[str] = Counter()
    for sighting in sightings:
        local, remote = sighting.local, sighting.remote
        if not (sighting.on_subdevice or rules.subdeviceless):
            continue
        if min(sighting.lanes, lanes[min(local, remote), max(local, remote)]) < rules.lanes:
            continue
        first, second = (local, remote) if local[0] < remote[0] else (remote, local)
        seen[f"{first[0]}.{first[1]}-{second[0]}.{second[1]}"] += 1
    errors["duplicate link"] += sum(max(0, count - USUAL_SIGHTINGS) for count in seen.values())
    return "_".join(seen)
