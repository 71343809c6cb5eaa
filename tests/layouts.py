"""Layouts of DSA and IAA devices for tests."""

from typing import Any

# Example D of the specification, with its trailing commas.
BULK = """[{"dev":"dsaX","groups":[
   {"dev":"groupX.1","grouped_workqueues":[
      {"dev":"wqX.5","mode":"shared","type":"user","size":"40","threshold":30,"group_id":1,"priority":7,"block_on_fault":1,"name":"bulkX5"},],
    "grouped_engines":[{"dev":"engineX.2","group_id":1},]}]}]"""


def queue(number: int, **changes: Any) -> dict[str, Any]:
    """A queue, shared in the group of its number; None takes a key away."""
    values = {
        "dev": f"wqX.{number}",
        "mode": "shared",
        "type": "user",
        "size": 16,
        "threshold": 12,
        "group_id": number % 4,
        "priority": 10,
        "name": f"appX{number}",
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def layout(*queues: dict[str, Any], dev: str = "dsaX", group: dict[str, Any] | None = None, **own: Any) -> Any:
    """A layout of one entry: all in its first group's arrays, an engine for each group that has a queue."""
    groups = sorted({number for one in queues if isinstance(number := one.get("group_id"), int) and 0 <= number < 4})
    engines = [{"dev": f"engineX.{number}", "group_id": number} for number in groups]
    first = {"dev": "groupX.0", "grouped_workqueues": list(queues), "grouped_engines": engines, **(group or {})}
    return [{"dev": dev, "groups": [{key: value for key, value in first.items() if value != []}], **own}]
