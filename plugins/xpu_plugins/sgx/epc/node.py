"""The EPC on the node's object: an extended resource in its status, and a label. One JSON patch of own keys only."""

from collections.abc import Mapping
from typing import Any

from xpu_shared.api_server import JSON_PATCH, ApiError, ApiServer

RESOURCE, LABEL = "sgx.intel.com/epc", "sgx.intel.com/capable"
MAPS = (("metadata",), ("metadata", "labels"), ("status",), ("status", "capacity"))  # of the node's object
FORBIDDEN = 403
Operation = Mapping[str, object]


class RegistrationError(Exception):
    """The node's object is not as it should be; one line with node, status and, when it is forbidden, the verb."""

    def __init__(self, text: str, *, worth_repeating: bool) -> None:
        super().__init__(text)
        self.worth_repeating = worth_repeating


def operations(node: Any, total: int, *, register: bool, label: bool) -> list[Operation]:
    """What makes a node's object say the total and have the label when there is any EPC; empty when it does.

    A label that an earlier run has left goes when there is none any more.
    """
    capacity, labels = _map(node, "status", "capacity"), _map(node, "metadata", "labels")
    found: list[Operation] = []
    if register and str((capacity or {}).get(RESOURCE)) != str(total):
        found.append(_add(capacity, "/status/capacity", RESOURCE, total))
    if label and total and (labels or {}).get(LABEL) != "true":
        found.append(_add(labels, "/metadata/labels", LABEL, "true"))
    if label and not total and LABEL in (labels or {}):
        found.append({"op": "remove", "path": f"/metadata/labels/{_escaped(LABEL)}"})
    return found


def update(api: ApiServer, name: str, total: int, *, register: bool, label: bool) -> bool:
    """Make the node's object so; returns whether it had to be patched.

    Raises:
        RegistrationError: a request failed.
    """
    path = f"/api/v1/nodes/{name}"
    verb = "get nodes"
    try:
        node = api.request("GET", path)
        if not is_node(node, name):
            text = f"node {name}: GET {path}: the answer is not this node"
            raise RegistrationError(text, worth_repeating=True)
        patch = operations(node, total, register=register, label=label)
        verb = "patch nodes/status"
        if patch:
            api.request("PATCH", f"{path}/status", patch, content_type=JSON_PATCH)
    except ApiError as error:
        hint = f"; its service account needs: {verb}" if error.status == FORBIDDEN else ""
        raise RegistrationError(f"node {name}: {error}{hint}", worth_repeating=error.worth_repeating) from None
    return bool(patch)


def is_node(found: Any, name: str) -> bool:
    """Whether it is the node's object: a map that another one seems to lack would be replaced as a whole."""
    if not isinstance(found, dict) or (_map(found, "metadata") or {}).get("name", name) != name:
        return False
    above = ((_map(found, *keys[:-1]), keys[-1]) for keys in MAPS)
    return all((values or {}).get(key) is None or isinstance((values or {})[key], dict) for values, key in above)


def _map(node: Any, *keys: str) -> Mapping[str, Any] | None:
    """A map in the object; None when it has none."""
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def _add(present: Mapping[str, Any] | None, path: str, key: str, value: object) -> Operation:
    if present is None:
        return {"op": "add", "path": path, "value": {key: value}}
    return {"op": "add", "path": f"{path}/{_escaped(key)}", "value": value}


def _escaped(key: str) -> str:
    """As a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
