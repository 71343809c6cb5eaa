"""What a container is given besides its device files: numbers of its own, and variables that name its devices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from xpu_plugins.dlb.function import Function
from xpu_shared.device import Allocation


def prepared(allocation: Allocation, functions: Sequence[Function], *, dense: bool, variables: bool) -> Allocation:
    """Complete an allocation.

    Args:
        functions: those that are granted, in any order.
        dense: the container sees them as /dev/dlb0, /dev/dlb1, … whatever their numbers on the node.
        variables: tell the container of its devices.
    """
    ordered = sorted(functions, key=lambda function: function.number)
    paths = {f"/dev/{one.name}": f"/dev/dlb{number if dense else one.number}" for number, one in enumerate(ordered)}
    nodes = tuple(replace(node, container_path=paths[node.container_path]) for node in allocation.nodes)
    envs = _variables(ordered, [paths[f"/dev/{function.name}"] for function in ordered]) if variables else {}
    return replace(allocation, nodes=nodes, envs={**allocation.envs, **envs})


def _variables(functions: Sequence[Function], paths: Sequence[str]) -> Mapping[str, str]:
    """For the container's device i: `DLB_DEVICE<i>`, its file, and the same with `_ID`, `_BDF` and `_NUMA`."""
    variables = {}
    for index, (function, path) in enumerate(zip(functions, paths, strict=True)):
        name = f"DLB_DEVICE{index}"
        variables[name] = path
        variables[f"{name}_ID"] = path.removeprefix("/dev/dlb")
        if function.address is not None:
            variables[f"{name}_BDF"] = function.address
        if function.numa_nodes:
            variables[f"{name}_NUMA"] = ",".join(map(str, function.numa_nodes))
    return variables
