from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.allowance import Allowance


def test_a_few_times_at_once_and_then_one_a_pause() -> None:
    allowance = Allowance(burst=2, pause=6.0)

    assert [allowance.take(100.0) for _ in range(3)] == [True, True, False]
    assert allowance.wait(103.0) == 3.0
    assert not allowance.take(105.9)
    assert allowance.take(106.0)
    assert allowance.wait(1000.0) == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1000), max_size=60))
def test_it_is_never_exceeded_whatever_the_clock_says(times: list[float]) -> None:
    allowance = Allowance(burst=3, pause=10.0)
    taken = 0
    for now in times:
        wait = allowance.wait(now)
        done = allowance.take(now)
        assert done is (wait <= 1e-6) or abs(wait) < 1e-6
        taken += done
    assert taken <= 3 + max(times, default=0) / 10.0 + 1e-6
