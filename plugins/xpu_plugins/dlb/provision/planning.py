"""From a physical function and shares to writes. Functions of values, but for the way back, which has to look.

Amounts move between the physical function and a virtual one that no driver has. So each virtual function is unbound,
gets its amounts, and is bound again; and what some have too much goes back before others take.
"""

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from xpu_plugins.dlb.provision.function import (
    DRIVER,
    DRIVER_DIRECTORY,
    FUNCTIONS,
    Amounts,
    PhysicalFunction,
    VirtualFunction,
    read_physical_function,
)
from xpu_shared.provisioning.plan import Check, Unit, Write, attribute
from xpu_shared.provisioning.sysfs import Sysfs

COUNT_PATIENCE = 10.0  # seconds until virtual functions and the files of their shares are there
BIND_PATIENCE = 5.0  # seconds until the driver has made a device of one


def is_as_wished(function: PhysicalFunction, vfs: int, amounts: Amounts) -> bool:
    right_count = function.vfs == vfs == len(function.functions)
    return right_count and all(vf.bound and not missing(vf, amounts) for vf in function.functions)


def missing(vf: VirtualFunction, amounts: Amounts) -> dict[str, int]:
    """The amounts that it has not got, or has more of."""
    return {name: amount for name, amount in amounts.items() if vf.resources.get(name) != amount}


def units(function: PhysicalFunction, vfs: int, amounts: Amounts) -> tuple[Unit, ...]:
    """The writes that make it so; none when it is."""
    if function.vfs == vfs:
        return tuple(_shares(function, amounts))
    count = function.path("sriov_numvfs")
    none = [replace(attribute(count, "0", str(function.vfs)), busy_errno=errno.EINVAL)] if function.vfs else []
    there = [
        Check(path, None, COUNT_PATIENCE)
        for number in range(vfs)
        for path in (function.path(f"virtfn{number}"), function.path(f"vf{number}_resources"))
    ]
    wished = Write(
        path=count,
        value=str(vfs),
        before="0" if none else str(function.vfs),
        checks=(Check(count, str(vfs)), *there),
    )
    first = Unit(writes=(*none, wished), needed=True, look_again=True)
    return first, *_shares(replace(function, functions=tuple(_future(function, vfs))), amounts)


def _future(function: PhysicalFunction, vfs: int) -> Iterator[VirtualFunction]:
    """The virtual functions that there will be, so far as it can be known: they own nothing."""
    for number in range(vfs):
        yield VirtualFunction(
            number=number,
            address=function.future_address(number) or "",
            driver=DRIVER if function.autoprobe else "",
            locked=function.autoprobe,
            resources=dict.fromkeys(function.totals, 0),
            node="",
        )


def _shares(function: PhysicalFunction, amounts: Amounts) -> Iterator[Unit]:
    differing = [vf for vf in function.functions if missing(vf, amounts) or not vf.bound]
    surplus = [vf for vf in differing if any(vf.resources.get(name, 0) > amount for name, amount in amounts.items())]
    if len(function.functions) > 1:
        for vf in surplus:
            less = {name: min(amount, vf.resources.get(name, 0)) for name, amount in amounts.items()}
            writes = [*_unbind(function, vf), *_amounts(function, vf, less)]
            yield _unit(function, vf, writes)
    else:
        surplus = []
    for vf in differing:
        now = vf
        if vf in surplus:  # what it will be then
            less = {name: min(amounts.get(name, amount), amount) for name, amount in vf.resources.items()}
            now = replace(vf, driver="", locked=False, resources=less)
        changes = missing(now, amounts)
        writes = [
            *(_unbind(function, now) if changes else ()),
            *_amounts(function, now, amounts),
            *_bind(function, now),
        ]
        yield _unit(function, vf, writes)


def _unit(function: PhysicalFunction, vf: VirtualFunction, writes: Sequence[Write]) -> Unit:
    return Unit(
        name=f"VF {vf.number} of {function.address}",
        writes=tuple(writes),
        undo=way_back(function.address, vf),
        explain=lambda sysfs, write, error: explanation(sysfs, write, error, function.address, vf),
    )


def _unbind(function: PhysicalFunction, vf: VirtualFunction) -> Iterator[Write]:
    if vf.bound and vf.address:
        locked = Check(function.resource(vf.number, "locked"), "0", BIND_PATIENCE)
        path = f"{FUNCTIONS}/{vf.address}/driver/unbind"
        if vf.driver == DRIVER:
            path = f"{DRIVER_DIRECTORY}/unbind"
        yield Write(path=path, value=vf.address, before=vf.driver, checks=(locked,))


def _amounts(function: PhysicalFunction, vf: VirtualFunction, amounts: Amounts) -> Iterator[Write]:
    for name, amount in missing(vf, amounts).items():
        yield attribute(function.resource(vf.number, name), str(amount), str(vf.resources.get(name, "")))


def _bind(function: PhysicalFunction, vf: VirtualFunction) -> Iterator[Write]:
    if not vf.address:
        return
    place = f"{FUNCTIONS}/{vf.address}"
    if not function.autoprobe:
        yield Write(path=f"{place}/driver_override", value=DRIVER, before="", checks=())
    device = Check(f"{place}/dlb2", None, BIND_PATIENCE)
    yield Write(path=f"{DRIVER_DIRECTORY}/bind", value=vf.address, before="", checks=(device,))


def way_back(address: str, before: VirtualFunction) -> Callable[[Sysfs], Iterator[Write]]:
    """Its amounts are what they were, and it stays unbound, so that nobody is given what is half done."""

    def undo(sysfs: Sysfs) -> Iterator[Write]:
        function = read_physical_function(sysfs, address)
        now = next((vf for vf in function.functions if vf.number == before.number), None)
        if now is None:
            return
        yield from _unbind(function, now)
        back = missing(now, before.resources)
        less_first = sorted(back, key=lambda name: back[name] > now.resources.get(name, 0))
        for name in less_first:
            path = function.resource(now.number, name)
            yield attribute(path, str(back[name]), str(now.resources.get(name, "")))

    return undo


def explanation(sysfs: Sysfs, write: Write, error: OSError | None, address: str, vf: VirtualFunction) -> str:
    """What is known of a failed write: of one of its amounts."""
    if "_resources/" not in write.path:
        return ""
    if isinstance(error, PermissionError):
        try:
            function = read_physical_function(sysfs, address)
        except OSError:  # it has gone
            return ""
        driver = next((now.driver for now in function.functions if now.number == vf.number), "")
        return f"VF {vf.number} of {address} is locked: still bound to {driver}" if driver else ""
    if error is not None and error.errno == errno.EINVAL:
        return f"{address} has not so much left"
    return ""
