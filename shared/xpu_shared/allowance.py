"""How often something may be done: a few times at once, and in the long run at a rate. Times are monotonic seconds."""


class Allowance:
    """Full at first.

    Args:
        burst: so many at once.
        pause: seconds after which one more is allowed.
    """

    def __init__(self, *, burst: int, pause: float) -> None:
        self._burst = float(burst)
        self._pause = pause
        self._left = float(burst)
        self._counted = float("-inf")

    def take(self, now: float) -> bool:
        """Use one up; False when there is none, which costs nothing."""
        gained = (now - self._counted) / self._pause
        self._left, self._counted = min(self._burst, self._left + max(0.0, gained)), max(now, self._counted)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def wait(self, now: float) -> float:
        """Seconds until `take` succeeds, 0 if it does now."""
        left = self._left + max(0.0, now - self._counted) / self._pause
        return max(0.0, (1 - left) * self._pause)
