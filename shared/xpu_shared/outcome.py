"""What becomes of a scan: new snapshots, what there is to say of them, and when to look again. A function of values.

It is worked out in the scan's thread. For 100,000 devices that takes a second, in which the event loop, which has only
to publish it, goes on serving other families.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from xpu_shared.device import Device, Problem, ScanResult
from xpu_shared.inventory import Snapshot, merge, next_expiry
from xpu_shared.kubelet.messages import LARGEST_LIST, list_message
from xpu_shared.turns import Turn, turns

SHOWN_AT_ONCE = 8  # devices that change in one scan and are spoken of one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A resource after the scan."""

    snapshot: Snapshot
    healthy: int
    changed: Mapping[str, str] | None  # fields of a log line; None: the kubelet is told nothing new
    turned: Sequence[Turn]  # devices that left service or returned
    refused: bool  # its list was too large, and only what was known before is in the snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    resources: Mapping[str, Listed]  # by device type
    problems: frozenset[str]
    sights: frozenset[str]  # problems that are expected
    scan_again_at: float | None  # monotonic seconds; None: no need


def outcome(
    namespace: str,
    result: ScanResult,
    previous: Mapping[str, Snapshot],
    *,
    held: Callable[[str], Collection[str]],
    retention: float,
    now: float,
) -> Outcome:
    """Work out what a scan changes.

    Args:
        previous: by device type.
        held: the ids of a device type that containers hold.
        retention: seconds that a vanished device stays listed.
        now: monotonic seconds.
    """
    resources: dict[str, Listed] = {}
    problems = list(result.problems)
    times = [] if result.scan_again_in is None else [now + result.scan_again_in]
    for device_type in dict.fromkeys((*previous, *result.devices)):
        holders = frozenset(held(device_type))
        before = previous.get(device_type, Snapshot())
        found, losses = result.devices.get(device_type, ()), result.losses.get(device_type, {})
        snapshot = merge(before, found, retention=retention, now=now, held=holders, losses=losses)
        refusal = too_large(f"{namespace}/{device_type}", snapshot) if snapshot.version != before.version else None
        if refusal is not None:
            problems.append(refusal)
            # The new devices are left out; what happened to the known ones is told all the same.
            found, holders = (
                [device for device in found if device.id in before.devices],
                holders & before.devices.keys(),
            )
            snapshot = merge(before, found, retention=retention, now=now, held=holders, losses=losses)
        new = snapshot.version != before.version
        resources[device_type] = Listed(
            snapshot=snapshot,
            healthy=sum(device.health == "Healthy" for device in snapshot.devices.values()),
            changed=changes(before.devices, snapshot.devices) if new else None,
            turned=turns(f"{namespace}/{device_type}", before.devices, snapshot.devices) if new else (),
            refused=refusal is not None,
        )
        expiry = next_expiry(snapshot, retention=retention, held=holders)
        times += [] if expiry is None else [expiry]
    return Outcome(
        resources=resources,
        problems=frozenset(f"{problem.subject}: {problem.text}" for problem in problems if not problem.expected),
        sights=frozenset(f"{problem.subject}: {problem.text}" for problem in problems if problem.expected),
        scan_again_at=min(times, default=None),
    )


def too_large(resource: str, snapshot: Snapshot) -> Problem | None:
    """Kubelets drop a stream whose message is too large, and with it every device of the resource."""
    size = list_message(snapshot.devices.values()).ByteSize()
    if size <= LARGEST_LIST:
        return None
    text = (
        f"its list of {len(snapshot.devices)} devices has {size} bytes, at most {LARGEST_LIST} reach the kubelet; "
        "the last good list stays"
    )
    return Problem(subject=resource, text=text)


def changes(before: Mapping[str, Device], after: Mapping[str, Device]) -> dict[str, str]:
    """Which devices came, went or changed their health, and why, as fields of a log line."""
    changed = [id_ for id_, device in after.items() if id_ not in before or before[id_].health != device.health]
    changed += [id_ for id_ in before if id_ not in after]
    shown = nsmallest(SHOWN_AT_ONCE, changed)
    texts = (f"{id_} {after[id_].health if id_ in after else 'dropped'}" for id_ in shown)
    more = len(changed) - len(shown)
    reasons = nsmallest(SHOWN_AT_ONCE, {after[id_].reason for id_ in changed if id_ in after} - {""})
    return {
        "changed": ", ".join(texts) + (f" and {more} more" if more else ""),
        **({"reasons": "; ".join(reasons)} if reasons else {}),
    }
