from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.device import Device, Health
from xpu_shared.turns import LONGEST, MOST_APART, Notice, Pending, Turn, notices, turns

RESOURCE = "demo.intel.com/unit"
WELL, ILL = Health.HEALTHY, Health.UNHEALTHY


def listed(**health: Health) -> dict[str, Device]:
    return {
        id_: Device(id=id_, health=value, reason="too hot" if value is ILL else "") for id_, value in health.items()
    }


def test_a_device_turns_when_its_health_does() -> None:
    found = turns(RESOURCE, listed(a=WELL, b=ILL, c=WELL, d=ILL), listed(a=ILL, b=WELL, c=WELL, d=ILL))

    assert found == [Turn(RESOURCE, "a", False, "too hot"), Turn(RESOURCE, "b", True)]


def test_the_first_devices_are_no_news_unless_they_are_ill() -> None:
    assert turns(RESOURCE, {}, listed(a=WELL, b=ILL)) == [Turn(RESOURCE, "b", False, "too hot")]


def test_a_device_that_is_plugged_in_later_is_news_and_one_that_is_dropped_from_the_list_is_none() -> None:
    assert turns(RESOURCE, listed(a=WELL, b=ILL), listed(a=WELL, c=WELL)) == [Turn(RESOURCE, "c", True)]


def test_a_notice_names_resource_device_and_reason() -> None:
    assert notices([Turn(RESOURCE, "a", False, "too hot"), Turn(RESOURCE, "b", True)]) == [
        Notice(False, "demo.intel.com/unit: a is unhealthy: too hot"),
        Notice(True, "demo.intel.com/unit: b is healthy"),
    ]


def test_shares_of_one_device_are_one_notice() -> None:
    found = notices([Turn(RESOURCE, f"card0-{number}", False, "gone") for number in range(10)])

    shown = ", ".join(f"card0-{number}" for number in range(8))
    assert found == [Notice(False, f"{RESOURCE}: {shown} and 2 more are unhealthy: gone")]


def test_many_devices_at_once_are_one_notice_with_their_reasons() -> None:
    few = notices([Turn(RESOURCE, f"card{card}", False, f"{card} degrees") for card in range(MOST_APART)])
    many = notices([Turn(RESOURCE, f"card{card}", False, f"{card} degrees") for card in range(64)])

    assert len(few) == MOST_APART
    (one,) = many
    assert one.text.startswith(f"{RESOURCE}: card0, card1, card10")
    assert "and 56 more are unhealthy: 0 degrees; 1 degrees" in one.text


def test_a_long_reason_is_cut() -> None:
    (notice,) = notices([Turn(RESOURCE, "a", False, "x" * 5000)])

    assert len(notice.text) == LONGEST


def test_what_turned_back_before_anybody_was_told_is_not_told() -> None:
    pending = Pending()
    pending.add([Turn(RESOURCE, "a", False, "too hot"), Turn(RESOURCE, "b", False, "too hot")])
    pending.add([Turn(RESOURCE, "a", True)])

    assert pending.take() == [Notice(False, f"{RESOURCE}: b is unhealthy: too hot")]
    assert not pending
    assert pending.take() == []


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=6), max_size=8), st.data())
def test_whoever_hears_all_notices_knows_the_health_of_all(
    rounds: list[list[tuple[str, bool]]], data: st.DataObject
) -> None:
    pending = Pending()
    before = listed(**dict.fromkeys("abcdef", WELL))
    known = dict.fromkeys("abcdef", True)
    for changes in rounds:
        after = {**before, **listed(**{id_: WELL if well else ILL for id_, well in changes})}
        pending.add(turns(RESOURCE, before, after))
        before = after
        if data.draw(st.booleans()):
            for notice in pending.take():
                names = notice.text.split(": ")[1].split(" is ")[0].split(" are ")[0]
                known.update(dict.fromkeys(names.split(", "), notice.healthy))
            assert known == {id_: device.health is WELL for id_, device in after.items()}
