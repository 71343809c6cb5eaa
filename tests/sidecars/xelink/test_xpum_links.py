"""Pages that are odd or lie: what of them becomes links and labels."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.labels.values import UnsplittableError
from xpu_shared.telemetry.fabric import End
from xpu_shared.telemetry.topology import Link, LinkHealth, TopologyDevice
from xpu_sidecars.xelink.labelling import labels
from xpu_sidecars.xelink.metrics_text import MalformedLineError, parse, parsed
from xpu_sidecars.xelink.reading import Reading, SourceError
from xpu_sidecars.xelink.xpum import reading_of
from xpu_sidecars.xelink.xpum_links import LabelRules
from xpum_pages import EXAMPLE, address, both, sample

GOOD = sample("0.0", "1.0")

MANY_LABELS = "".join(f',a{number}=""' for number in range(1500))


def read(*lines: str, strict: bool = False, lanes: int = 4, subdeviceless: bool = False) -> Reading:
    rules = LabelRules(lanes=lanes, subdeviceless=subdeviceless)
    return reading_of("\n".join(lines).encode("utf-8", "surrogateescape"), rules, strict=strict)


def errors(found: Reading) -> dict[str, int]:
    """But for devices without addresses, which most of these samples have."""
    return {reason: count for reason, count in found.errors.items() if reason != "unknown device"}


@pytest.mark.parametrize("value", ["1", "1.0", "1e0", "+1", "1 1700000000000"])
def test_a_direct_link_has_the_value_one(value: str) -> None:
    assert read(sample("0.0", "1.0", value=value)).value == "0.0-1.0"


@pytest.mark.parametrize("value", ["0", "-1", "2", "3", "4", "5", "1.5", "NaN", "+Inf", "-Inf", "1.0000001"])
def test_every_other_value_is_no_link(value: str) -> None:
    assert read(sample("0.0", "1.0", value=value)).value == ""


@pytest.mark.parametrize("bad", ["0x1", "1.0", " 2", str(2**70), "-0", "-1", "65536", "", "٣", "1_0", "9" * 5000])
@pytest.mark.parametrize(
    "name", ["local_device_id", "local_subdevice_id", "remote_device_id", "remote_subdevice_id", "lane_count"]
)
def test_what_is_no_plain_decimal_number_costs_its_sample(bad: str, name: str) -> None:
    found = read(GOOD, re.sub(f'{name}="[0-9]*"', f'{name}="{bad}"', sample("2.0", "3.0")))

    assert found.value == "0.0-1.0"
    assert errors(found) == {"bad sample": 1}


def test_a_number_may_have_a_plus_and_zeros_before_it() -> None:
    assert read(sample("+2.007", "5.0", "+8")).value == "2.7-5.0"


def test_a_missing_number_costs_its_sample() -> None:
    found = read('xpum_topology_link{local_device_id="0"} 1', "xpum_topology_link 1", GOOD)

    assert found.value == "0.0-1.0"
    assert errors(found) == {"bad sample": 2}


@pytest.mark.parametrize(
    ("more", "value"), [(',lan_count="2"', ""), (',lan_count="9"', "0.0-1.0"), (',lan_count="x"', "")]
)
def test_of_the_two_spellings_of_lanes_the_later_one_counts(more: str, value: str) -> None:
    assert read(sample("0.0", "1.0", 8, more=more)).value == value


@pytest.mark.parametrize(("flag", "value"), [("true", "0.0-1.0"), ("false", ""), ("True", ""), ("", "")])
def test_the_local_side_is_a_tile_unless_it_says_otherwise(flag: str, value: str) -> None:
    assert read(sample("0.0", "1.0", tile=flag)).value == value
    assert read(sample("0.0", "1.0", tile=flag), subdeviceless=True).value == "0.0-1.0"


def test_a_sample_that_does_not_say_whether_it_is_of_a_tile_is_taken() -> None:
    assert read(GOOD.replace('local_on_subdevice="true",', "")).value == "0.0-1.0"


def test_the_lower_device_comes_first_and_links_within_one_stay_as_they_are() -> None:
    assert read(sample("5.1", "2.0"), sample("7.1", "7.0"), sample("7.0", "7.1")).value == "2.0-5.1_7.0-7.1_7.1-7.0"


def test_self_links_cost_themselves_only() -> None:
    found = read(sample("3.1", "3.1"), GOOD)

    assert found.value == "0.0-1.0"
    assert errors(found) == {"self link": 1}


def test_both_directions_are_one_link_and_more_are_counted() -> None:
    assert errors(read(*both("0.0", "1.0"))) == {}
    found = read(*both("0.0", "1.0"), *both("0.0", "1.0"))
    assert found.value == "0.0-1.0"
    assert errors(found) == {"duplicate link": 2}


@pytest.mark.parametrize(
    ("lanes", "value", "counted"),
    [
        ([("0.0", "1.0", 3), ("1.0", "0.0", 8)], "0.0-1.0", 8),  # directions differ: the better one
        ([("0.0", "1.0", 8), ("0.0", "1.0", 3)], "", 3),  # one direction says two things: the worse one
        ([("0.0", "1.0", 8), ("0.0", "1.0", 3), ("1.0", "0.0", 6)], "0.0-1.0", 6),
        ([("0.0", "1.0", 3)], "", 3),
    ],
)
def test_lanes_are_the_better_direction_s_worst(lanes: list[tuple[str, str, int]], value: str, counted: int) -> None:
    known = [sample("0.0", "0.1", 0, 5, bdf=address(0)), sample("1.0", "1.1", 0, 5, bdf=address(1))]
    found = read(*known, *(sample(*one) for one in lanes))

    assert found.value == value
    assert [link.lanes for link in found.links] == [counted]
    assert len(found.problems) == (len({one[2] for one in lanes}) > 1)


def test_links_have_addresses_of_their_local_sides() -> None:
    found = read(*both("0.1", "1.0", 6), sample("2.0", "1.1", bdf=address(2), tile="false"))

    assert found.devices == (
        TopologyDevice(pci_address=address(0), index=0, tiles=2),
        TopologyDevice(pci_address=address(1), index=1, tiles=1),
        TopologyDevice(pci_address=address(2), index=2, tiles=1),
    )
    assert found.links == (
        Link(a=End(address(0), 1), b=End(address(1), 0), lanes=6, status=LinkHealth.HEALTHY),
        Link(a=End(address(1), 1), b=End(address(2), 0, True), lanes=8, status=LinkHealth.HEALTHY),
    )
    assert found.value == "0.1-1.0"  # the label's rules are its own


def test_a_device_without_an_address_is_in_the_label_and_is_told_as_a_problem() -> None:
    found = read(*both("0.0", "1.0"), sample("0.1", "9.0", bdf=address(0)))

    assert found.value == "0.0-1.0_0.1-9.0"
    assert len(found.links) == 1
    assert found.errors == {"unknown device": 1}
    assert [problem.subject for problem in found.problems] == ["device 9"]


def test_addresses_that_cannot_be_are_counted() -> None:
    found = read(
        *both("0.0", "1.0"),
        sample("0.1", "1.1", bdf="0000:99:00.0"),
        sample("2.0", "3.0", bdf="../../etc/passwd"),
        sample("4.0", "1.0", 0, 5, bdf=address(0)),
    )

    assert {name: found.errors[name] for name in ("two addresses", "bad address", "two devices")} == {
        "two addresses": 1,
        "bad address": 1,
        "two devices": 1,
    }


def test_bad_lines_of_other_families_are_skipped_and_counted() -> None:
    found = read("xpum_power_watts{", GOOD, 'xpum_power_watts{x="1"} 12', "<html>", "\x00\x01", "x y z")

    assert found.value == "0.0-1.0"
    assert errors(found) == {"other line": 4}


@pytest.mark.parametrize(
    "bad",
    [
        'xpum_topology_link{local_device_id="2",loc',
        "xpum_topology_link{} x",
        "xpum_topology_link{local_device_id=2} 1",
        f"{GOOD}\x00",
        GOOD.replace("true", "t" * 20_000),
        "xpum_topology_link",
    ],
)
def test_a_bad_line_about_links_means_that_nothing_is_known(bad: str) -> None:
    with pytest.raises(SourceError, match="not a sample") as raised:
        read(GOOD, bad)
    assert raised.value.reason == "malformed"
    assert not raised.value.empty


@pytest.mark.parametrize(
    "lines",
    [
        [GOOD, "xpum_topology_li"],  # between two links
        ['xpum_power_watts{x="1"} 3', 'xpum_temperature_celsius{x="'],  # before any link
    ],
)
def test_a_page_that_ends_within_a_line_says_nothing_of_links_that_may_follow(lines: list[str]) -> None:
    with pytest.raises(SourceError, match="ends within a line") as raised:
        read(*lines)
    assert (raised.value.reason, raised.value.empty) == ("malformed", True)
    assert read(*lines, "").errors["other line"] == 1  # it was the line that was bad


@pytest.mark.parametrize(
    "body",
    [
        b"x\n" * 300_000,
        f"{GOOD}\n".encode() * 30_000,
        f"{sample('0.0', '1.0', more=MANY_LABELS)}\n".encode() * 1000,
    ],
    ids=["lines", "links", "labels"],
)
def test_a_page_of_more_than_any_node_has_is_not_read_to_its_end(body: bytes) -> None:
    with pytest.raises(SourceError) as raised:
        reading_of(body, LabelRules())
    assert raised.value.reason == "too large"


def test_another_family_whose_name_only_begins_so_is_another_family() -> None:
    assert read("xpum_topology_links{x 1", "xpum_topology_link:sum 1", GOOD).errors["other line"] == 1


def test_strict_parsing_takes_no_bad_line_at_all() -> None:
    assert read("xpum_power_watts{", GOOD).value == "0.0-1.0"
    with pytest.raises(SourceError, match="xpum_power_watts"):
        read("xpum_power_watts{", GOOD, strict=True)
    assert read('xpum_power_watts{x="1"} 3', GOOD, strict=True).value == "0.0-1.0"


@pytest.mark.parametrize(
    "body", ["<!DOCTYPE html>\n<html><body>no</body></html>", "\x7fELF\x02\x01", "no\nmetrics\nat all"]
)
def test_a_page_without_any_metric_is_told_from_one_without_links(body: str) -> None:
    with pytest.raises(SourceError, match="no metrics") as raised:
        read(body)
    assert raised.value.empty


@pytest.mark.parametrize("body", ["", "\n\n", "# TYPE x gauge\n", 'xpum_power_watts{pci_bdf="0000:29:00.0"} 77.1'])
def test_no_links_are_a_fabric_too(body: str) -> None:
    assert read(body).value == ""


@pytest.mark.parametrize(
    ("type_", "value"), [("gauge", "0.0-1.0"), ("untyped", "0.0-1.0"), ("counter", ""), ("histogram", "")]
)
def test_samples_of_another_type_are_left_out(type_: str, value: str) -> None:
    found = read(f"# TYPE xpum_topology_link {type_}", GOOD)

    assert found.value == value
    assert errors(found) == ({} if value else {"type": 1})


def test_a_type_may_stand_far_from_its_samples() -> None:
    assert read("# TYPE xpum_topology_link gauge", "# TYPE b gauge", "b 1", GOOD).value == "0.0-1.0"


def test_line_ends_blanks_and_bytes_that_are_no_text_do_no_harm() -> None:
    odd = GOOD.replace('lane_count="8"', 'lane_count="8", uuid="\udcff\\"\\n",')
    assert read(f"\t {odd} \r", "\r", "").value == "0.0-1.0"


def test_thousands_of_links_are_no_fabric() -> None:
    many = [sample(f"{number}.0", f"{number + 1}.1") for number in range(4097)]
    assert len(read(*many[:4096]).value.split("_")) == 4096
    with pytest.raises(SourceError, match="4097 links, at most 4096") as raised:
        read(*many)
    assert raised.value.reason == "too many links"


def test_more_chunks_than_a_node_has_room_for_are_refused() -> None:
    value = read(*(sample(f"{number}.0", f"{number + 1}.1") for number in range(1000))).value
    with pytest.raises(UnsplittableError, match="more than 32 labels"):
        labels("gpu.intel.com", value)


@settings(deadline=None)
@given(st.text() | st.text(alphabet='{}",=\\ 1a#_\n').map(lambda rest: f"xpum_topology_link{rest}"))
def test_any_line_is_a_sample_or_refused(line: str) -> None:
    try:
        found = parsed(line)
    except MalformedLineError:
        return
    assert all(isinstance(value, str) for value in found.labels.values())


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 1600), st.booleans())
def test_any_page_is_a_fabric_or_refused(noise: bytes, at: int, strict: bool) -> None:
    body = EXAMPLE.encode()
    try:
        found = reading_of(body[:at] + noise + body[at:], LabelRules(), strict=strict)
    except SourceError:
        return
    assert set(found.value) <= set("0123456789.-_")


@settings(deadline=None)
@given(st.lists(st.sampled_from(EXAMPLE.split("\n")), max_size=12))
def test_order_and_repetition_change_no_link(lines: list[str]) -> None:
    once = read(*dict.fromkeys(lines)).value
    assert sorted(read(*lines).value.split("_")) == sorted(once.split("_"))


def test_the_example_s_other_values_are_no_samples_of_links() -> None:
    assert len(parse(EXAMPLE.encode()).samples) == 8
