"""Which share of a load balancer each virtual function owns. Functions of values; what cannot be is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from xpu_plugins.dlb.provision.function import RESOURCES, Amounts, PhysicalFunction
from xpu_shared.program.flags import shown
from xpu_shared.provisioning.plan import RefusedError

REFERENCE, EQUAL = "reference", "equal"
# What the reference's init container gives its one virtual function.
REFERENCE_AMOUNTS: Amounts = {
    "num_atomic_inflights": 2048,
    "num_dir_credits": 2048,
    "num_dir_ports": 8,
    "num_hist_list_entries": 2048,
    "num_ldb_credits": 8192,
    "num_ldb_ports": 4,
    "num_ldb_queues": 32,
    "num_sched_domains": 32,
    "num_sn0_slots": 2,
    "num_sn1_slots": 2,
}
# Of each of these a virtual function needs something, or it can do nothing.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "num_sched_domains": ("num_sched_domains",),
    "num_ldb_ports + num_dir_ports": ("num_ldb_ports", "num_dir_ports"),
    "num_ldb_credits + num_dir_credits": ("num_ldb_credits", "num_dir_credits"),
    "num_hist_list_entries": ("num_hist_list_entries",),
}
MOST = 10**9

Resources = str | Mapping[str, int]  # reference, equal, or the amounts that each virtual function gets


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    vfs: int
    resources: Resources = REFERENCE
    on_busy: str = "keep"


def parse_resources(text: str) -> Resources:
    """`reference`, `equal`, or `num_ldb_ports=4,num_dir_ports=8`; ValueError with what is expected."""
    if text in (REFERENCE, EQUAL):
        return text
    amounts: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = part.strip().partition("=")
        if not equals or not number.isascii() or not number.isdigit() or len(number) > 9 or name in amounts:
            raise ValueError("expected reference, equal or each name once as in num_ldb_ports=4,num_dir_ports=8")
        amounts[name] = int(number)
    return amounts


def shares(function: PhysicalFunction, wish: Wish) -> Amounts:
    """What each virtual function gets, of the resources that the device has.

    Raises:
        RefusedError: the device has not so much, or a share would be nothing.
    """
    address, totals = function.address, function.totals
    if not 1 <= wish.vfs <= function.most_vfs:
        text = f"{address}: num_vfs: expected 1 to {function.most_vfs} (sriov_totalvfs), found {wish.vfs}"
        raise RefusedError(text)
    if not totals:
        raise RefusedError(f"{address}: total_resources cannot be read: its driver is not ready")
    match wish.resources:
        case str() if wish.resources == EQUAL:
            amounts = {name: total // wish.vfs for name, total in totals.items()}
            _check_needed(address, amounts, totals, wish.vfs)
        case str():
            if wish.vfs != 1:
                raise RefusedError(f"{address}: resources: reference is for 1 VF, found num_vfs {wish.vfs}")
            amounts = {name: min(REFERENCE_AMOUNTS[name], total) for name, total in totals.items()}
        case _:
            amounts = _explicit(address, wish.resources, totals)
    _check_sums(function, amounts, wish.vfs)
    return {name: amounts[name] for name in RESOURCES if name in amounts}


def _explicit(address: str, wished: Mapping[str, int], totals: Amounts) -> dict[str, int]:
    """What is not named gets nothing."""
    for name in wished:
        if name not in RESOURCES:
            raise RefusedError(f"{address}: resources: expected {', '.join(RESOURCES)}, found {shown(name)}")
        if name not in totals:
            raise RefusedError(f"{address}: {name}: the device has no such resource")
    return {name: wished.get(name, 0) for name in totals}


def _check_needed(address: str, amounts: Amounts, totals: Amounts, vfs: int) -> None:
    for what, names in NEEDED.items():
        total = sum(totals.get(name, 0) for name in names)
        if total and not sum(amounts.get(name, 0) for name in names):
            raise RefusedError(f"{address}: {what}: an equal share of {total} for {vfs} VFs is nothing")


def _check_sums(function: PhysicalFunction, amounts: Amounts, vfs: int) -> None:
    for name, amount in amounts.items():
        given = sum(vf.resources.get(name, 0) for vf in function.functions)
        total = function.totals[name]
        free = min(total, function.available.get(name, total) + given)
        if vfs * amount <= free:
            continue
        sum_of_all = f"{function.address}: {name}: {vfs} × {amount} = {vfs * amount}"  # noqa: RUF001 - as people write it
        if vfs * amount > total:
            raise RefusedError(f"{sum_of_all} exceeds {total}")
        raise RefusedError(f"{sum_of_all} exceeds {free}, the other {total - free} of {total} are in use")
