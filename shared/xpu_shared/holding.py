"""What containers hold of one plugin's devices, and whether anything depends on it now."""

from collections.abc import Callable

from xpu_shared.device import CdiDevice
from xpu_shared.inventory import Inventory
from xpu_shared.kubelet.holders import Holders
from xpu_shared.kubelet.pod_resources import PodResources


class Holding:
    def __init__(
        self, namespace: str, inventory: Inventory, pod_resources: PodResources, *, on_change: Callable[[], None]
    ) -> None:
        """`on_change` is called when a tombstone may no longer be needed, or one is needed for a device never seen."""
        self._namespace = namespace
        self._inventory = inventory
        self._pod_resources = pod_resources
        self._on_change = on_change
        pod_resources.listen(self._changed, in_doubt=self._in_doubt)

    @property
    def holders(self) -> Holders:
        """As the kubelet told last; another object after each change."""
        return self._pod_resources.holders

    def ids(self, device_type: str) -> frozenset[str]:
        """The ids of the type that containers hold, as far as the kubelet has told."""
        return self._pod_resources.held(f"{self._namespace}/{device_type}")

    def published(self, *, worked_out_with: Holders) -> None:
        """The inventory has another snapshot, made with what was known of holders then."""
        if self.holders is not worked_out_with:  # they changed meanwhile, perhaps unheard
            self._changed()
        if self._in_doubt():
            self._pod_resources.expect_news()

    def allocated(self) -> None:
        """A container was just given devices."""
        self._pod_resources.expect_news()

    def cdi_devices(self) -> list[CdiDevice] | None:
        """Those of all devices that containers hold; None when one of these is not listed."""
        if any(self._unlisted(device_type) for device_type in self._inventory.device_types):
            return None
        return self.listed_cdi_devices()

    def listed_cdi_devices(self) -> list[CdiDevice]:
        """Those of listed devices that containers hold."""
        return [
            device.cdi
            for device_type in self._inventory.device_types
            for id_ in self.ids(device_type)
            if (device := self._inventory.snapshot(device_type).devices.get(id_)) and device.cdi
        ]

    def _unlisted(self, device_type: str) -> bool:
        """Whether a container holds a device that is not listed, not even as gone."""
        return not self.ids(device_type) <= self._inventory.snapshot(device_type).devices.keys()

    def _in_doubt(self) -> bool:
        """Whether who holds a device decides now what is listed."""
        return any(
            self._inventory.snapshot(device_type).gone_since or self._unlisted(device_type)
            for device_type in self._inventory.device_types
        )

    def _changed(self) -> None:
        if self._in_doubt():
            self._on_change()
