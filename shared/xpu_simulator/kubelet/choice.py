"""Which ids of a resource a pod gets: on the NUMA nodes it shall be on, as the plugin prefers, and then any."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence

from xpu_simulator.kubelet.connection import PluginConnection, PluginError
from xpu_simulator.kubelet.grants import Grants
from xpu_simulator.kubelet.resources import Resources
from xpu_simulator.kubelet.topology import MOST_NODES, NODE_IDS, Hint, Nodes, Policy, affinity, hints, split

Ids = frozenset[str]


class Choice:
    """Chooses among the healthy devices that no pod has.

    Args:
        connected: the connection to ask about a resource; PluginError when there is none.
        numa_nodes: those of the machine; None are those that devices name.
    """

    def __init__(
        self,
        resources: Resources,
        grants: Grants,
        *,
        connected: Callable[[str], PluginConnection],
        policy: Policy,
        numa_nodes: Sequence[int] | None,
        shuffle: random.Random,
    ) -> None:
        self._resources = resources
        self._grants = grants
        self._connected = connected
        self._policy = policy
        self._numa_nodes = numa_nodes
        self._random = shuffle

    def affinity(self, pod: str, requests: Mapping[str, int]) -> Nodes | None:
        """The NUMA nodes a pod shall be on, None when that is all the same.

        Raises:
            TopologyAffinityError: the policy wants better than what there is.
            PluginError: devices name more nodes than a kubelet can deal with.
        """
        if self._policy is Policy.NONE:
            return None
        nodes = self._nodes()
        by_resource = [self._hints(pod, resource, needed, nodes) for resource, needed in requests.items()]
        return affinity(self._policy, by_resource, nodes)

    def _nodes(self) -> Sequence[int]:
        if self._numa_nodes:
            return self._numa_nodes
        devices = [device for resource in self._resources.values() for device in resource.devices.values()]
        named = {node for device in devices for node in device.numa_nodes}
        nodes = sorted(named.intersection(NODE_IDS)) or [0]
        if len(nodes) > MOST_NODES:
            raise PluginError(f"unsupported on machines with more than {MOST_NODES} NUMA Nodes: devices name {nodes}")
        return nodes

    def _hints(self, pod: str, resource: str, needed: int, nodes: Sequence[int]) -> Sequence[Hint]:
        owned = self._grants.ids(pod, resource)  # after a reboot: what it has is what it gets
        return hints(self._resources[resource].devices, owned or self._available(resource), needed, nodes)

    def check_still_healthy(self, resource: str, ids: Ids) -> None:
        """Devices that a pod was given before a reboot have to be there again. Raises PluginError."""
        if not self._healthy(resource) >= ids:
            raise PluginError(
                f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {resource}"
            )

    async def choose(self, resource: str, needed: int, nodes: Nodes | None) -> list[str]:
        """The ids to allocate. Raises PluginError."""
        self._healthy(resource)
        available = self._available(resource)
        if len(available) < needed:
            raise PluginError(
                f"requested number of devices unavailable for {resource}. "
                f"Requested: {needed}, Available: {len(available)}"
            )
        aligned, unaligned, elsewhere = split(self._resources[resource].devices, available, nodes)
        if needed < len(aligned):  # the plugin has a choice among them
            preferred = await self._preferred(resource, aligned, needed)
            return self._fill(needed, preferred & aligned, aligned)
        chosen = self._fill(needed, aligned)
        if len(chosen) == needed:
            return chosen
        preferred = await self._preferred(resource, available, needed, must_include=chosen)
        return self._fill(needed, aligned, preferred & available, unaligned, elsewhere)

    def _healthy(self, resource: str) -> Ids:
        """The devices that may be had at all. Raises PluginError when there are none."""
        if not self._resources[resource].registered:
            raise PluginError(f"cannot allocate unregistered device {resource}")
        healthy = self._resources[resource].healthy
        if not healthy:
            raise PluginError(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
        return healthy

    def _available(self, resource: str) -> Ids:
        return self._resources[resource].healthy - self._grants.in_use(resource)

    async def _preferred(self, resource: str, available: Ids, needed: int, must_include: Collection[str] = ()) -> Ids:
        plugin = self._connected(resource)
        if not plugin.options.get_preferred_allocation_available:
            return Ids()
        return await plugin.preferred(self.shuffled(available), self.shuffled(must_include), needed)

    def _fill(self, needed: int, *pools: Ids) -> list[str]:
        """Take from one pool after the other until there are enough."""
        chosen: list[str] = []
        for pool in pools:
            chosen += self.shuffled(pool - set(chosen))[: needed - len(chosen)]
        return chosen

    def shuffled(self, ids: Collection[str]) -> list[str]:
        """Kubelets keep ids in sets, so plugins see them in any order."""
        return self._random.sample(sorted(ids), k=len(ids))
