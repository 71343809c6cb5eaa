"""How long the newest reading counts: nothing flaps, and labels become the empty ones once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.telemetry.fabric import End
from xpu_shared.telemetry.topology import Link, TopologyState
from xpu_sidecars.xelink.keeping import Keeper, Shown, snapshot
from xpu_sidecars.xelink.reading import Reading, SourceError

LINK = Link(a=End("0000:29:00.0"), b=End("0000:3a:00.0"), lanes=8)
GOOD = Reading(source="xpum-1.x", links=(LINK,), value="0.0-1.0")
NONE = Reading(source="xpum-1.x")
GONE = SourceError("connection", "refused")
HTML = SourceError("malformed", "no metrics", empty=True)


def test_the_newest_reading_serves_for_a_while_and_then_nothing_is_known() -> None:
    keeper = Keeper(60.0, now=0.0)
    keeper.good(GOOD, now=10.0)
    keeper.failed(GONE, now=20.0)
    assert keeper.shown == Shown(reading=GOOD, reason="refused", decided=True)
    assert not keeper.look(69.9)
    assert keeper.look(70.0)
    assert keeper.shown == Shown(reason="refused", decided=True)
    assert keeper.shown.value == ""
    assert not keeper.look(1000.0)
    keeper.good(GOOD, now=1001.0)
    assert keeper.shown.value == "0.0-1.0"


def test_a_failure_after_the_end_says_so_at_once() -> None:
    keeper = Keeper(0.0, now=0.0)
    keeper.good(GOOD, now=10.0)
    keeper.failed(GONE, now=20.0)
    assert keeper.shown == Shown(reason="refused", decided=True)


def test_a_source_that_is_not_there_at_the_start_leaves_labels_for_a_while() -> None:
    keeper = Keeper(60.0, now=0.0)
    keeper.failed(GONE, now=10.0)
    assert not keeper.shown.decided
    assert keeper.look(60.0)
    assert keeper.shown == Shown(reason="refused", decided=True)


def test_a_first_page_without_anything_in_it_is_the_empty_label() -> None:
    keeper = Keeper(60.0, now=0.0)
    keeper.failed(HTML, now=10.0)
    assert keeper.shown == Shown(reason="no metrics", decided=True)


def test_a_later_page_without_anything_in_it_is_a_failure_like_others() -> None:
    keeper = Keeper(60.0, now=0.0)
    keeper.good(GOOD, now=10.0)
    keeper.failed(HTML, now=20.0)
    assert keeper.shown.value == "0.0-1.0"


def test_while_a_source_is_well_nothing_ends() -> None:
    keeper = Keeper(5.0, now=0.0)
    keeper.good(GOOD, now=10.0)
    assert not keeper.look(1000.0)
    assert keeper.shown.reading == GOOD


def test_what_is_published() -> None:
    assert snapshot(Shown(reading=GOOD), ("a=b",)).state is TopologyState.OK
    assert snapshot(Shown(reading=GOOD), ("a=b",)).labels == ("a=b",)
    assert snapshot(Shown(reading=NONE), ()).state is TopologyState.NONE
    unknown = snapshot(Shown(reason="refused"), ())
    assert (unknown.state, unknown.reason, unknown.links) == (TopologyState.UNKNOWN, "refused", ())


looks = st.lists(st.tuples(st.floats(0.1, 100.0), st.sampled_from([GOOD, GONE, HTML, None])), max_size=40)


@settings(deadline=None)
@given(looks, st.floats(0.0, 200.0))
def test_a_reading_is_shown_exactly_as_long_as_it_counts(looks: list[tuple[float, object]], keep: float) -> None:
    keeper, now, good_at, failing = Keeper(keep, now=0.0), 0.0, None, False
    emptied = 0
    for pause, look in looks:
        now += pause
        before = keeper.shown
        if isinstance(look, Reading):
            keeper.good(look, now)
            good_at, failing = now, False
        elif isinstance(look, SourceError):
            keeper.failed(look, now)
            failing = True
        else:
            keeper.look(now)
        emptied += before.reading is not None and keeper.shown.reading is None
        counts = good_at is not None and (not failing or now < good_at + keep)
        if failing or isinstance(look, Reading):
            assert (keeper.shown.reading is not None) == counts
    assert emptied <= sum(look is GOOD for _, look in looks)
