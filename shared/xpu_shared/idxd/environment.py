"""Variables that tell a container which queues are its own; without them it has to try which ones it can open.

`DSA_WQ0=/dev/dsa/wq2.1`, `DSA_WQ0_NAME`, `DSA_WQ0_BDF`, `DSA_WQ0_NUMA`, then `DSA_WQ1` and so on, in the order of the
queues' numbers. What is not known has no variable.
"""

from collections.abc import Iterable, Mapping

from xpu_shared.idxd.queues import Queue


def environment(title: str, queues: Iterable[Queue]) -> Mapping[str, str]:
    """The variables for a container that was granted these queues, each once.

    Args:
        title: what the variables begin with, e.g. DSA.
    """
    variables: dict[str, str] = {}
    for place, queue in enumerate(queue for queue in queues if queue.nodes):
        name = f"{title}_WQ{place}"
        numa = ",".join(map(str, queue.numa_nodes))
        about = {"_NAME": queue.label, "_BDF": queue.pci_address or "", "_NUMA": numa}
        variables[name] = queue.nodes[0].container_path
        variables |= {name + suffix: value for suffix, value in about.items() if value}
    return variables
