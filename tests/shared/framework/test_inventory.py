from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.device import Device, Health
from xpu_shared.inventory import GONE, SORTED_AT_ONCE, Inventory, Snapshot, merge, next_expiry

RETENTION = 600.0


def devices(*ids: str) -> list[Device]:
    return [Device(id=id_) for id_ in ids]


def test_devices_are_listed_in_one_order_however_they_were_found() -> None:
    first = merge(Snapshot(), devices("b", "a"), retention=RETENTION, now=0)
    second = merge(first, devices("a", "b"), retention=RETENTION, now=1)

    assert list(first.devices) == list(second.devices) == ["a", "b"]
    assert second.version == first.version


def test_devices_are_listed_by_number_not_by_spelling() -> None:
    mixed = devices("dlb10", "dlb9", "dlb9-10", "dlb9-2", "a", "dlb09")

    assert list(merge(Snapshot(), mixed, retention=RETENTION, now=0).devices) == [
        "a",
        "dlb09",
        "dlb9",
        "dlb9-2",
        "dlb9-10",
        "dlb10",
    ]


def test_a_vanished_device_stays_listed_as_unhealthy_until_the_retention_is_over() -> None:
    seen = merge(Snapshot(), devices("a", "b"), retention=RETENTION, now=0)
    gone = merge(seen, devices("a"), retention=RETENTION, now=100)
    still = merge(gone, devices("a"), retention=RETENTION, now=100 + RETENTION - 1)
    dropped = merge(still, devices("a"), retention=RETENTION, now=100 + RETENTION)

    assert (gone.devices["b"].health, gone.devices["b"].reason) == (Health.UNHEALTHY, GONE)
    assert still is not gone
    assert still.version == gone.version
    assert list(dropped.devices) == ["a"]
    assert dropped.version > still.version


def test_a_device_that_comes_back_is_healthy_again_and_its_next_absence_counts_anew() -> None:
    seen = merge(Snapshot(), devices("a"), retention=RETENTION, now=0)
    gone = merge(seen, [], retention=RETENTION, now=1)
    back = merge(gone, devices("a"), retention=RETENTION, now=RETENTION)
    gone_again = merge(back, [], retention=RETENTION, now=RETENTION + 2)

    assert back.devices["a"].health is Health.HEALTHY
    assert gone_again.gone_since == {"a": RETENTION + 2}


def test_without_retention_a_vanished_device_is_dropped_at_once() -> None:
    seen = merge(Snapshot(), devices("a"), retention=0, now=0)

    assert merge(seen, [], retention=0, now=1).devices == {}


def test_what_the_kubelet_is_not_told_does_not_raise_the_version() -> None:
    seen = merge(Snapshot(), devices("a"), retention=RETENTION, now=0)
    other_env = merge(seen, [Device(id="a", envs={"A": "1"})], retention=RETENTION, now=1)

    assert other_env.version == seen.version
    assert other_env.devices["a"].envs == {"A": "1"}


def test_an_empty_first_scan_is_still_a_first_version() -> None:
    assert merge(Snapshot(), [], retention=RETENTION, now=0).version == 1


def test_listeners_are_called_only_for_changes_of_their_type_and_only_while_listening() -> None:
    inventory = Inventory()
    calls: list[str] = []
    first = merge(Snapshot(), devices("a"), retention=RETENTION, now=0)
    with inventory.listening("x", lambda: calls.append("x")), inventory.listening("y", lambda: calls.append("y")):
        inventory.publish("x", first)
        inventory.publish("x", merge(first, devices("a"), retention=RETENTION, now=1))
    inventory.publish("y", first)

    assert calls == ["x"]
    assert inventory.device_types == ("x", "y")


def test_the_next_expiry_is_that_of_the_oldest_tombstone() -> None:
    assert next_expiry(Snapshot(), retention=RETENTION) is None

    seen = merge(Snapshot(), devices("a", "b"), retention=RETENTION, now=0)
    gone = merge(merge(seen, devices("b"), retention=RETENTION, now=5), [], retention=RETENTION, now=9)

    assert next_expiry(gone, retention=RETENTION) == 5 + RETENTION
    assert next_expiry(gone, retention=RETENTION, held=["a"]) == 9 + RETENTION
    assert next_expiry(gone, retention=RETENTION, held=["a", "b"]) is None


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcde")), st.floats(min_value=0, max_value=400)), max_size=12))
def test_whatever_comes_and_goes_what_is_there_is_healthy_and_nothing_vanishes_unseen(
    scans: list[tuple[set[str], float]],
) -> None:
    snapshot, now = Snapshot(), 0.0
    for present, elapsed in scans:
        now += elapsed
        before = snapshot
        snapshot = merge(before, devices(*present), retention=RETENTION, now=now)
        healthy = {device.id for device in snapshot.devices.values() if device.health is Health.HEALTHY}
        assert healthy == present
        assert list(snapshot.devices) == sorted(snapshot.devices)
        for id_ in before.devices.keys() - snapshot.devices.keys():
            assert now - before.gone_since[id_] >= RETENTION
        assert snapshot.version >= before.version


def test_why_a_device_vanished_is_told_as_long_as_its_tombstone_stands() -> None:
    seen = merge(Snapshot(), devices("a", "b"), retention=RETENTION, now=0)
    gone = merge(seen, [], retention=RETENTION, now=1, losses={"a": "it is disabled"})
    still = merge(gone, [], retention=RETENTION, now=2)
    told_more = merge(still, [], retention=RETENTION, now=3, losses={"b": "its driver let go"})

    assert {id_: device.reason for id_, device in still.devices.items()} == {"a": "it is disabled", "b": GONE}
    assert told_more.devices["b"].reason == "its driver let go"
    assert told_more.version == gone.version


def test_an_earlier_reason_is_not_told_of_a_later_loss() -> None:
    seen = merge(Snapshot(), devices("a"), retention=RETENTION, now=0)
    gone = merge(seen, [], retention=RETENTION, now=1, losses={"a": "it is disabled"})
    back = merge(gone, devices("a"), retention=RETENTION, now=2)
    gone_again = merge(back, [], retention=RETENTION, now=3)

    assert gone_again.devices["a"].reason == GONE


def test_more_devices_than_are_sorted_at_once_are_in_order_too() -> None:
    ids = [f"u{number}" for number in range(2 * SORTED_AT_ONCE + 1)]
    assert list(merge(Snapshot(), devices(*reversed(ids)), retention=RETENTION, now=0).devices) == ids
