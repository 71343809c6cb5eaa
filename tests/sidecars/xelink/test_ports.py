"""Fabric ports to links: the worked examples, every oddity, and properties of any set of ports."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_shared.telemetry.topology import Link, LinkHealth, TopologySnapshot
from xpu_sidecars.xelink.intel_cards import intel_cards
from xpu_sidecars.xelink.observation import port_metrics, up_metric
from xpu_sidecars.xelink.ports import Joined, joined, label_value, lanes

ZERO, ONE, TWO = "0000:29:00.0", "0000:3a:00.0", "0000:9a:00.0"
ORDER = {ZERO: 0, ONE: 1, TWO: 2}
Ids = tuple[int, int, int]
STATUSES = (PortStatus.UNKNOWN, PortStatus.HEALTHY, PortStatus.DEGRADED, PortStatus.FAILED, PortStatus.DISABLED)


def port(
    place: End,
    id_: Ids,
    remote: Ids | None,
    status: int = 1,
    widths: tuple[int | None, int | None] = (4, 4),
    **more: object,
) -> Port:
    return Port(
        place=place,
        id=PortId(*id_),
        remote=PortId(*remote) if remote else None,
        status=STATUSES[status],
        receive_lanes=widths[0],
        transmit_lanes=widths[1],
        model="XeLink",
        **more,  # type: ignore[arg-type]  # a port's fields by name
    )


EXAMPLE = [
    port(End(ZERO, 0), (4, 0, 1), (7, 0, 1)),
    port(End(ZERO, 0), (4, 0, 2), (7, 0, 2), widths=(4, 2)),
    port(End(ZERO, 1), (4, 1, 1), (7, 1, 1)),
    port(End(ZERO, 1), (4, 1, 2), (9, 0, 1)),
    port(End(ONE, 0), (7, 0, 1), (4, 0, 1)),
    port(End(ONE, 0), (7, 0, 2), (4, 0, 2)),
    port(End(ONE, 1), (7, 1, 1), (4, 1, 1), status=2),
    port(End(ONE, 1), (7, 1, 2), None, status=4),
    port(End(TWO, 0, True), (9, 0, 1), (4, 1, 2)),
]


def join(ports: list[Port], *, degraded: bool = False) -> Joined:
    return joined(ports, ORDER, accept_degraded=degraded)


def ends(found: Joined) -> list[tuple[str, int, str, int, int]]:
    return [(link.a.pci_address, link.a.tile, link.b.pci_address, link.b.tile, link.lanes) for link in found.links]


def test_the_worked_example() -> None:
    found = join(EXAMPLE)

    assert ends(found) == [(ZERO, 0, ONE, 0, 6), (ZERO, 1, TWO, 0, 4)]
    assert [link.port_pairs for link in found.links] == [2, 1]
    assert found.links[1].b.subdeviceless
    assert label_value(found.links, ORDER, lanes=4) == "0.0-1.0_0.1-2.0"
    assert found.errors == {"degraded port": 1}


def test_the_worked_example_with_degraded_ports() -> None:
    found = join(EXAMPLE, degraded=True)

    assert label_value(found.links, ORDER, lanes=4) == "0.0-1.0_0.1-1.1_0.1-2.0"
    assert [link.status for link in found.links] == [LinkHealth.HEALTHY, LinkHealth.DEGRADED, LinkHealth.HEALTHY]
    assert not found.errors


def test_ports_that_disagree_on_whether_they_are_of_a_tile_are_of_one_place() -> None:
    found = join(
        [
            port(End(ZERO, 0), (4, 0, 1), (7, 0, 1)),
            port(End(ZERO, 0, True), (4, 0, 2), (7, 0, 2)),
            port(End(ONE, 0), (7, 0, 1), (4, 0, 1)),
            port(End(ONE, 0), (7, 0, 2), (4, 0, 2)),
        ]
    )

    assert ends(found) == [(ZERO, 0, ONE, 0, 8)]
    assert label_value(found.links, ORDER, lanes=4) == "0.0-1.0"


def test_no_series_is_twice_on_a_page() -> None:
    ports = [port(End(ZERO, 0), (4, 0, 1), None), port(End(ZERO, 0), (4, 0, 1), None, status=3)]
    ends = (End(ZERO, 0), End(ONE, 0)), (End(ZERO, 0, True), End(ONE, 0))
    link = Link(a=ends[0][0], b=ends[0][1], lanes=4)

    statuses = next(iter(port_metrics(ports)))
    up = up_metric(TopologySnapshot(links=(link,)), ends)

    assert [sample.value for sample in statuses.samples] == [0]
    assert [sample.value for sample in up.samples] == [1]


def test_the_index_hazard(tmp_path: Path) -> None:
    """Labels number all Intel cards, as the reader of the labels does, not the devices that a library knows."""
    for number, address, vendor in (
        (0, "0000:02:00.0", "0x1a03"),
        (1, "0000:00:02.0", "0x8086"),
        (2, "0000:4d:00.0", "0x8086"),
        (3, "0000:8b:00.0", "0x8086"),
    ):
        device = tmp_path / f"devices/pci0000:00/{address}"
        (device / f"drm/card{number}").mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "numa_node").write_text(f"{number - 1}\n")
        (device / f"drm/card{number}/device").symlink_to("../..")
        drm = tmp_path / "class/drm"
        drm.mkdir(parents=True, exist_ok=True)
        (drm / f"card{number}").symlink_to(f"../../devices/pci0000:00/{address}/drm/card{number}")
    cards = intel_cards(tmp_path)
    assert [(card.number, card.pci_address, card.numa_node) for card in cards] == [
        (1, "0000:00:02.0", 0),
        (2, "0000:4d:00.0", 1),
        (3, "0000:8b:00.0", 2),
    ]
    a, b = port(End("0000:4d:00.0"), (1, 0, 1), (2, 0, 1)), port(End("0000:8b:00.0"), (2, 0, 1), (1, 0, 1))
    links = joined([a, b], {}, accept_degraded=False).links
    card_order = {card.pci_address: number for number, card in enumerate(cards)}
    assert label_value(links, card_order, lanes=4) == "1.0-2.0"
    assert label_value(links, {"0000:4d:00.0": 0, "0000:8b:00.0": 1}, lanes=4) == "0.0-1.0"


A, B = port(End(ZERO), (1, 0, 1), (2, 0, 1)), port(End(ONE), (2, 0, 1), (1, 0, 1))


@pytest.mark.parametrize(
    ("ports", "errors"),
    [
        ([A], {"half link": 1}),  # leads to another node, or to a port that is not known
        ([A, replace(B, remote=PortId(2, 0, 1))], {"half link": 1, "self link": 1}),
        ([A, replace(B, remote=PortId(1, 0, 2))], {"half link": 2}),
        ([A, replace(B, remote=None)], {"half link": 1}),
        ([A, replace(B, status=PortStatus.FAILED)], {"half link": 1}),
        ([A, replace(B, status=PortStatus.DISABLED)], {"half link": 1}),
        ([A, replace(B, status=PortStatus.UNKNOWN)], {"half link": 1}),
        ([A, replace(B, status=PortStatus.DEGRADED)], {"degraded port": 1}),
        ([A, B, replace(A, place=End(TWO))], {"port id twice": 2, "half link": 1}),
        ([A, replace(B, place=End(ZERO))], {"self link": 1}),
        ([A, replace(B, model="PCIe bridge")], {"half link": 1}),
    ],
)
def test_an_odd_port_joins_nothing_and_is_told(ports: list[Port], errors: dict[str, int]) -> None:
    found = join(ports)

    assert found.links == ()
    assert found.errors == errors
    assert len(found.problems) == sum(errors.values())


def test_an_odd_port_costs_only_itself() -> None:
    found = join([*EXAMPLE, port(End(TWO), (9, 0, 9), (1, 2, 3)), port(End(ONE), (4, 1, 2), (9, 0, 1))])
    assert ends(found) == [(ZERO, 0, ONE, 0, 6)]


@pytest.mark.parametrize("model", ["XeLink", "intel xelink 2", "XELINK", ""])
def test_models_of_ports_that_join_gpus(model: str) -> None:
    assert len(join([replace(A, model=model), B]).links) == 1


def test_a_port_s_number_may_be_anything() -> None:
    assert len(join([replace(A, id=PortId(1, 0, 0)), replace(B, remote=PortId(1, 0, 0))]).links) == 1
    assert len(join([replace(A, id=PortId(1, 0, 200)), replace(B, remote=PortId(1, 0, 200))]).links) == 1


def test_tiles_of_one_device_may_be_linked() -> None:
    found = join([A, replace(B, place=End(ZERO, 1))])
    assert label_value(found.links, ORDER, lanes=4) == "0.0-0.1"


@pytest.mark.parametrize(
    ("widths", "expected"), [((4, 4, 4, 4), 4), ((4, 2, 8, 8), 2), ((None, None, 8, None), 8), ((None,) * 4, 0)]
)
def test_lanes_are_the_narrowest_width_that_is_known(widths: tuple[int | None, ...], expected: int) -> None:
    one = replace(A, receive_lanes=widths[0], transmit_lanes=widths[1])
    assert lanes(one, replace(B, receive_lanes=widths[2], transmit_lanes=widths[3])) == expected


def test_the_rate_of_a_link_is_the_slowest_that_is_known() -> None:
    rated = replace(A, receive_bits_per_second=90, transmit_bits_per_second=53)
    assert [link.bits_per_second for link in join([rated, B]).links] == [53]
    assert [link.bits_per_second for link in join([A, B]).links] == [None]


def test_labels_are_sorted_as_numbers_and_leave_out_what_they_cannot_name() -> None:
    addresses = [f"0000:{number:02x}:00.0" for number in range(12)]
    ports = [
        port(End(addresses[one]), (a, b, c), (b, a, c))
        for c, (one, two) in enumerate([(10, 11), (2, 10), (0, 2)], start=1)
        for one, a, b in ((one, 50 + c, 80 + c), (two, 80 + c, 50 + c))
    ]
    links = joined(ports, {address: n for n, address in enumerate(addresses)}, accept_degraded=False).links
    indices = {address: n for n, address in enumerate(addresses)}
    assert label_value(links, indices, lanes=4) == "0.0-2.0_2.0-10.0_10.0-11.0"
    del indices[addresses[11]]
    assert label_value(links, indices, lanes=4) == "0.0-2.0_2.0-10.0"
    assert label_value(links, indices, lanes=5) == ""


some_ids = st.builds(PortId, st.integers(0, 2), st.integers(0, 1), st.integers(0, 2))
some_ports = st.builds(
    Port,
    place=st.builds(End, st.sampled_from([ZERO, ONE, TWO]), st.integers(0, 1)),
    id=some_ids,
    model=st.sampled_from(["XeLink", "", "other"]),
    status=st.sampled_from(PortStatus),
    remote=st.none() | some_ids,
    receive_lanes=st.none() | st.integers(0, 8),
    transmit_lanes=st.none() | st.integers(0, 8),
)


@settings(deadline=None)
@given(st.lists(some_ports, max_size=20), st.booleans(), st.randoms())
def test_whatever_ports_there_are_links_are_sound_and_do_not_depend_on_their_order(
    ports: list[Port], degraded: bool, random: object
) -> None:
    found = join(ports, degraded=degraded)
    shuffled = list(ports)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert join(shuffled, degraded=degraded).links == found.links
    by_id = {port.id: port for port in ports}
    assert len({(link.a, link.b) for link in found.links}) == len(found.links)
    for link in found.links:
        assert link.a != link.b
        assert link.port_pairs == sum(
            port.remote is not None and (port.place, by_id[port.remote].place) == (link.a, link.b)
            for port in ports
            if port.remote in by_id and by_id[port.remote].remote == port.id and port.status in STATUSES[1:3]
            and by_id[port.remote].status in STATUSES[1:3]
            and port.model != "other" and by_id[port.remote].model != "other"
            and (degraded or PortStatus.DEGRADED not in (port.status, by_id[port.remote].status))
            and sum(other.id == port.id and other.model != "other" for other in ports) == 1
            and sum(other.id == port.remote and other.model != "other" for other in ports) == 1
        )  # fmt: skip
