import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.kubelet.registration import Backoff, Cause, cause_to_register
from xpu_shared.sockets import Identity

FIRST = Identity(device=1, inode=2, changed=3)
SAME_INODE_LATER = Identity(device=1, inode=2, changed=4)


def cause(
    *,
    registered_with: Identity | None = FIRST,
    kubelet: Identity | None = FIRST,
    in_place: bool = True,
    streams: int = 1,
    quiet_since: float = 0.0,
    now: float = 10.0,
) -> Cause | None:
    return cause_to_register(
        registered_with=registered_with,
        kubelet=kubelet,
        in_place=in_place,
        streams=streams,
        quiet_since=quiet_since,
        patience=30.0,
        now=now,
    )


def test_all_is_well() -> None:
    assert cause() is None


def test_another_kubelet_socket_is_another_kubelet_even_on_the_same_inode() -> None:
    assert cause(kubelet=SAME_INODE_LATER) is Cause.KUBELET_RESTART


def test_our_socket_gone_beside_the_same_kubelet() -> None:
    assert cause(in_place=False) is Cause.SOCKET_LOST


def test_our_socket_gone_and_the_kubelets_too_is_a_starting_kubelet() -> None:
    assert cause(in_place=False, kubelet=None) is Cause.KUBELET_RESTART


def test_an_absent_kubelet_is_waited_for() -> None:
    assert cause(kubelet=None, streams=0, now=1000) is None


@pytest.mark.parametrize(("streams", "now", "expected"), [(0, 29.9, None), (0, 30, Cause.NO_STREAM), (1, 1000, None)])
def test_thirty_seconds_without_a_stream_are_enough(streams: int, now: float, expected: Cause | None) -> None:
    assert cause(streams=streams, now=now) is expected


def test_waits_are_short_for_a_second_then_double_up_to_half_a_minute() -> None:
    backoff = Backoff(started=100.0)

    assert backoff.delay(now=100.0, jitter=0) == pytest.approx(0.020)
    assert backoff.delay(now=100.9, jitter=1) == pytest.approx(0.050)
    assert [backoff.delay(now=101.0 + n, jitter=0) for n in range(7)] == [1, 2, 4, 8, 16, 30, 30]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=30))
def test_no_wait_is_ever_longer_than_36_seconds_or_shorter_than_20_ms(steps: list[tuple[float, float]]) -> None:
    backoff, now = Backoff(started=0.0), 0.0
    for elapsed, jitter in steps:
        now += elapsed
        assert 0.020 <= backoff.delay(now=now, jitter=jitter) <= 36.0
