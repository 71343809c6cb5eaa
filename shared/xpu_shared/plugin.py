"""What a plugin author writes. Everything else is the framework's work.

A plugin is an object with a namespace, the uevent subsystems it cares about and a scan. The other protocols are
optional: a plugin that has the method has the feature, and the kubelet is told so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from xpu_shared.device import Allocation, Device, ScanResult
from xpu_shared.kernel.uevents import Uevent
from xpu_shared.measurement import Gauge

if TYPE_CHECKING:
    from prometheus_client import Metric


class Plugin(Protocol):
    @property
    def namespace(self) -> str:
        """The part of its resource names before the slash, e.g. `dsa.intel.com`."""

    @property
    def subsystems(self) -> frozenset[str]:
        """Kernel subsystems whose uevents are a reason to scan, e.g. `{"dsa", "pci"}`."""

    def scan(self) -> ScanResult:
        """List everything that is there.

        Runs in a thread of its own and may block. Trouble with one device is a `Problem` in the result; OSError
        means that nothing at all could be seen, and the devices stay what they were.
        """


@runtime_checkable
class Warns(Protocol):
    """For plugins whose settings may be other than what was meant."""

    @property
    def warnings(self) -> Sequence[str]:
        """One sentence for each; logged once, at the start."""


@runtime_checkable
class WatchesDirectories(Protocol):
    """For directories that change after the kernel's event, such as those udev fills with links."""

    @property
    def watched_directories(self) -> Sequence[Path]:
        """Directories whose changes are a reason to scan; they may be absent now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """How a plugin's own source makes the framework act. Called on the event loop; quick."""

    scan: Callable[[], None]  # there may be other devices
    judge: Callable[[], None]  # devices may be in another state


@runtime_checkable
class RunsBesideScans(Protocol):
    """For plugins with a source of their own besides sysfs, such as a sidecar's telemetry."""

    async def run_beside_scans(self, causes: Causes) -> None:
        """Work on the event loop until cancelled. When it fails it is started again."""


@runtime_checkable
class JudgesDevices(Protocol):
    """For plugins whose devices change their state without a scan."""

    def judge(self, device_type: str, devices: Sequence[Device]) -> Sequence[Device]:
        """The devices of a scan with the health that they have now.

        Called after each scan, and whenever `Causes.judge` was called, in a thread of its own.
        """


@runtime_checkable
class ExportsMetrics(Protocol):
    """For plugins that count what the framework does not."""

    def metrics(self) -> Iterator["Metric"]:
        """More of the metrics page. Called in the page's thread."""


@runtime_checkable
class HearsEvents(Protocol):
    """For plugins to which it matters what the kernel says, not only that it says something."""

    def heard(self, event: Uevent) -> None:
        """Told of each event of its subsystems, before the scan that it causes. Quick: it runs on the event loop."""


@runtime_checkable
class OwnsCdiKinds(Protocol):
    """For plugins whose devices have CDI files: files of these kinds are removed when their device is gone."""

    @property
    def cdi_kinds(self) -> Sequence[str]: ...


@runtime_checkable
class Measures(Protocol):
    """For plugins that have numbers of their hardware for the metrics page."""

    def measure(self) -> Sequence[Gauge]:
        """What is true now. Called in a thread of its own when a page is made, at most once a second; may block."""


@runtime_checkable
class OnlyCounts(Protocol):
    """For plugins whose ids stand for no hardware, but count how many containers use what all of them share."""

    @property
    def ids_only_count(self) -> bool:
        """Then an allocation that names no id, or one id twice, is answered instead of refused.

        And ids that nobody holds leave the list at once with what they count the users of.
        """


@runtime_checkable
class TellsDetails(Protocol):
    """For plugins that know more of a device than the kubelet is told."""

    def details(self, device: Device) -> Mapping[str, str]:
        """For `discover`: what is known after a scan, by what it is, e.g. `root port`; may be empty."""

    @property
    def details_complete(self) -> bool:
        """Whether the plugin's own source has said what it has to say of them."""


@runtime_checkable
class PrefersDevices(Protocol):
    """For plugins that have an opinion on which of the free devices a container should get."""

    def prefer(
        self, device_type: str, available: Sequence[str], must_include: Sequence[str], size: int
    ) -> Sequence[str]:
        """Choose `size` of `available`, `must_include` among them. A function of its arguments: calls may overlap.

        The framework has checked that an answer is possible (0 < size <= len(available), all distinct).
        """


@runtime_checkable
class PreparesAllocations(Protocol):
    """For plugins that add to, or act on, what a container is about to be given."""

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        """Complete the allocation of one container. May block; an exception fails the Allocate call."""


@runtime_checkable
class ActsBeforeStart(Protocol):
    """For devices that need a step before each start of their container."""

    def before_start(self, device_type: str, ids: Sequence[str]) -> None:
        """Called before every start. May block up to 30 s; an exception fails the start, which is tried again."""
