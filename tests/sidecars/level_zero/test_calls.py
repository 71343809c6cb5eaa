"""The policy of results: which calls are made again and when, for any results at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.telemetry.kinds import Group
from xpu_sidecars.level_zero import results
from xpu_sidecars.level_zero.calls import LONGEST_PAUSE, Calls, DeviceLostError
from xpu_sidecars.level_zero.results import Meaning, meaning

CODES = [*results.TEXTS, 0x7FFFFFFF, 0x12345678]
NAME, HANDLE = "zesTemperatureGetState", 7


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0x0, "success (0x0)"),
        (0x1, "not ready (0x1)"),
        (0x70000001, "device lost (0x70000001)"),
        (0x70010001, "not available (0x70010001)"),
        (0x7800001B, "action required (0x7800001B)"),
        (0x7FFFFFFE, "unknown (0x7FFFFFFE)"),
        (0x12345678, "not known (0x12345678)"),
    ],
)
def test_a_code_as_people_read_it(code: int, text: str) -> None:
    assert results.text(code) == text


class Asked:
    """Answers with one code after the other, and notes when."""

    def __init__(self, codes: list[int]) -> None:
        self.calls = Calls({NAME: self._answer})
        self.times: list[tuple[float, int]] = []
        self._codes = iter(codes)

    def _answer(self, *_: object) -> int:
        code = next(self._codes, results.SUCCESS)
        self.times.append((self.calls.now, code))
        return code

    def round(self, now: float, *, optional: bool = False) -> bool:
        self.calls.begin_round(now)
        self.calls.begin_group(Group.TEMPERATURE)
        try:
            return (self.calls.ask_for_more if optional else self.calls.ask)(NAME, HANDLE)
        except DeviceLostError:
            assert self.calls.lost
            return False


@given(st.lists(st.sampled_from(CODES), max_size=40))
def test_any_results_are_asked_for_as_often_as_they_deserve(codes: list[int]) -> None:
    asked = Asked(codes)
    succeeded = [asked.round(float(now)) for now in range(400)]

    pauses = 0.0
    for (time, code), (following, _) in zip(asked.times, [*asked.times[1:], (float("inf"), 0)], strict=True):
        kind = meaning(code)
        assert succeeded[int(time)] is (code == results.SUCCESS)
        if kind in (Meaning.PERMANENT, Meaning.PRIVILEGE):
            assert following == float("inf")  # never again
        elif kind is Meaning.TROUBLE:
            pauses = max(2.0, min(2 * pauses, LONGEST_PAUSE))
            assert following in (time + pauses, float("inf"))
        else:
            pauses = 0.0 if code == results.SUCCESS else pauses
            assert following in (time + 1, float("inf"))
    assert asked.calls.tally.failed_calls == sum(code != results.SUCCESS for _, code in asked.times)


@given(st.sampled_from(CODES))
def test_what_a_device_need_not_have_is_no_error(code: int) -> None:
    asked = Asked([code])
    asked.round(0.0, optional=True)
    told = asked.calls.tally.last_error
    assert told == (results.SUCCESS if meaning(code) is Meaning.PERMANENT else code)
    asked.round(1.0, optional=True)
    if meaning(code) is Meaning.PERMANENT:
        assert (len(asked.times), asked.calls.tally.last_error) == (1, results.SUCCESS)


def test_an_error_is_told_as_long_as_it_is_not_asked_again() -> None:
    asked = Asked([results.UNSUPPORTED_FEATURE])
    for now in range(3):
        asked.round(float(now))
        assert asked.calls.tally.last_error == results.UNSUPPORTED_FEATURE
