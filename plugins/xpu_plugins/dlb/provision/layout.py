"""The layout file of load balancers: a YAML map of physical functions, or `default`, to what is wished of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpu_plugins.dlb.provision.shares import EQUAL, MOST, REFERENCE, Resources
from xpu_shared.kernel.vfio import PCI_ADDRESS
from xpu_shared.program.flags import shown
from xpu_shared.provisioning.plan import LayoutError

if TYPE_CHECKING:
    from xpu_shared.program.yaml_file import Document

DEFAULT = "default"
KEYS = ("num_vfs", "resources", "on_busy")
ON_BUSY = ("keep", "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a file says of a function; None: nothing."""

    vfs: int | None = None
    resources: Resources | None = None
    on_busy: str | None = None


Layout = Mapping[str, Entry]  # by PCI address, or `default`


def read_layout(path: Path, node_name: str) -> Layout:
    """Read a file, or the node's own beside it: of dlb.yaml that is dlb-<node>.yaml. LayoutError."""
    from xpu_shared.program.yaml_file import YamlError, read  # noqa: PLC0415 - only a file pays for YAML

    own = path.with_name(f"{path.stem}-{node_name}{path.suffix}")
    try:
        document = read(own if node_name and own.is_file() else path)
    except YamlError as error:
        raise LayoutError(str(error)) from None
    value = document.value
    if not isinstance(value, dict) or not value:
        raise _wrong(document, (), "expected a map of PCI addresses or `default`", value)
    return {name: _entry(document, name, entry) for name, entry in value.items()}


def _entry(document: "Document", name: str, value: Any) -> Entry:
    if name != DEFAULT and not PCI_ADDRESS.fullmatch(name):
        raise _wrong(document, (name,), "expected a PCI address such as 0000:6d:00.0, or default", name)
    if not isinstance(value, dict):
        raise _wrong(document, (name,), f"expected a map of {', '.join(KEYS)}", value)
    for key in value:
        if key not in KEYS:
            raise _wrong(document, (name, key), f"expected {', '.join(KEYS)}", key)
    vfs, busy = value.get("num_vfs"), value.get("on_busy")
    if vfs is not None and (isinstance(vfs, bool) or not isinstance(vfs, int) or not 1 <= vfs <= MOST):
        raise _wrong(document, (name, "num_vfs"), "expected a number from 1", vfs)
    if busy is not None and busy not in ON_BUSY:
        raise _wrong(document, (name, "on_busy"), f"expected {' or '.join(ON_BUSY)}", busy)
    return Entry(vfs=vfs, resources=_resources(document, name, value.get("resources")), on_busy=busy)


def _resources(document: "Document", name: str, value: Any) -> Resources | None:
    if value is None or value in (REFERENCE, EQUAL):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, dict):
        raise _wrong(document, (name, "resources"), "expected reference, equal or a map of amounts", value)
    for resource, amount in value.items():
        if isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= MOST:
            raise _wrong(document, (name, "resources", resource), f"expected 0 to {MOST}", amount)
    return value


def _wrong(document: "Document", at: tuple[str, ...], expected: str, found: object) -> LayoutError:
    place = f"{document.place(at)}: {'.'.join(at)}".rstrip(": ")
    return LayoutError(f"{place}: {expected}, found {shown(found)}")
