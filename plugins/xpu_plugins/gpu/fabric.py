"""What joins the GPUs of this node: where the last scan found them, and the links of the newest topology snapshot.

Scans' threads and the event loop replace what is known as a whole; whoever asks gets one consistent state. Links count
as long as their snapshot is valid. Without them nearness alone decides.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xpu_shared.policy.ids import natural
from xpu_shared.policy.sharing import Policy
from xpu_shared.policy.topology import Place, Topology

if TYPE_CHECKING:
    from xpu_shared.telemetry.freshness import News
    from xpu_shared.telemetry.topology import Link, TopologySnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLink:
    """A link between tiles of two cards, the lower card first."""

    card: str
    tile: int
    other: str
    other_tile: int
    lanes: int
    bits_per_second: int | None  # of one lane


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    places: Mapping[str, Place]  # by card
    addresses: Mapping[str, str]  # on the PCI bus, by card
    links: Sequence[CardLink] | None  # None: nothing was ever told
    expires_at: float
    near: Policy
    linked: Policy


NOTHING = _Known(places={}, addresses={}, links=None, expires_at=float("-inf"), near=Topology({}), linked=Topology({}))


class GpuFabric:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._known = NOTHING
        self._news: News[TopologySnapshot] | None = None
        self._lock = threading.Lock()  # of changes; a scan's thread and the event loop make them

    @property
    def places(self) -> Mapping[str, Place]:
        return self._known.places

    @property
    def addresses(self) -> Mapping[str, str]:
        return self._known.addresses

    def scanned(self, places: Mapping[str, Place], addresses: Mapping[str, str]) -> None:
        """A scan found these cards, and nothing else."""
        with self._lock:
            if (places, addresses) != (self._known.places, self._known.addresses):
                known = replace(self._known, places=places, addresses=addresses, near=Topology(places))
                self._known = self._linked(known)

    def take(self, news: "News[TopologySnapshot]") -> None:
        """A sidecar's snapshot, which says all there is."""
        from xpu_shared.telemetry.topology import TopologyState  # noqa: PLC0415 - where there is telemetry

        with self._lock:
            if news.envelope.payload.state is TopologyState.UNKNOWN:
                return  # it tells nothing; what was known stays as long as it is valid
            changed = self._news is None or news.envelope.payload.links != self._news.envelope.payload.links
            self._news = news
            known = replace(self._known, expires_at=news.expires_at)
            self._known = self._linked(known) if changed else known

    @property
    def told(self) -> bool:
        """Whether a sidecar has said anything."""
        return self._known.links is not None

    def policy(self, now: float) -> Policy:
        known = self._known
        return known.linked if now <= known.expires_at else known.near

    def links(self, cards: Sequence[str], now: float) -> Sequence[CardLink] | None:
        """Those among some cards; None when nothing is known now."""
        known = self._known
        if known.links is None or now > known.expires_at:
            return None
        return [link for link in known.links if link.card in cards and link.other in cards]

    def links_of(self, card: str, now: float) -> Mapping[str, int] | None:
        """The cards that a card is linked with, each with its lanes; None when nothing is known now."""
        known = self._known
        if known.links is None or now > known.expires_at:
            return None
        lanes: dict[str, int] = {}
        for link in known.links:
            if card in (link.card, link.other):
                other = link.other if link.card == card else link.card
                lanes[other] = lanes.get(other, 0) + link.lanes
        return dict(sorted(lanes.items(), key=lambda item: natural(item[0])))

    def _linked(self, known: _Known) -> _Known:
        if self._news is None:
            return known
        cards = {address: card for card, address in known.addresses.items()}
        links = sorted(_card_links(self._news.envelope.payload.links, cards), key=_order)
        return replace(known, links=links, linked=Topology(known.places, bandwidth(links)))


def bandwidth(links: Sequence[CardLink]) -> dict[tuple[str, str], int]:
    """Of each pair of cards, the sum over its links: lanes times rate, or lanes alone if a rate is not known."""
    rated = all(link.bits_per_second for link in links)
    sums: dict[tuple[str, str], int] = {}
    for link in links:
        pair = (link.card, link.other)
        rate = (link.bits_per_second or 1) if rated else 1
        sums[pair] = sums.get(pair, 0) + link.lanes * rate
    return sums


def _card_links(links: "Sequence[Link]", cards: Mapping[str, str]) -> Iterator[CardLink]:
    """Links between two of the cards; those within one card and those to other devices join nothing."""
    for link in links:
        card, other = cards.get(link.a.pci_address), cards.get(link.b.pci_address)
        if card is None or other is None or card == other:
            continue
        ends = sorted(((card, link.a.tile), (other, link.b.tile)), key=lambda end: natural(end[0]))
        (first, tile), (second, other_tile) = ends
        yield CardLink(
            card=first,
            tile=tile,
            other=second,
            other_tile=other_tile,
            lanes=link.lanes,
            bits_per_second=link.bits_per_second,
        )


def _order(link: CardLink) -> tuple[object, ...]:
    return natural(link.card), link.tile, natural(link.other), link.other_tile
