"""What an administrator may choose; docs/level-zero-sidecar.md explains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from xpu_shared.labels.settings import LabelNamespace, LabelSettings
from xpu_shared.program.endpoints import LONGEST_PATH, Endpoints
from xpu_shared.program.options import Address, Boolean, Choice, Duration, FilePath, Integer, ListenAddress, Text
from xpu_shared.program.settings import OBSERVATION, PATHS, flag_name
from xpu_shared.telemetry.settings import TELEMETRY, PublisherSettings
from xpu_sidecars.level_zero.command import DEFAULT_LIBRARY

MEASURING = "What is measured, and how"
SOCKET_NAME = "level-zero.sock"
METRICS = ListenAddress(host="", port=9101)


@dataclass(frozen=True, kw_only=True)
class SidecarSettings(PublisherSettings, LabelSettings):
    # Read by pydantic when a YAML file is given; its keys are the flags' names.
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "alias_generator": flag_name}

    library: Annotated[str, Text(group=MEASURING, shortest=1, help="the Level-Zero loader, by soname or path")] = (
        DEFAULT_LIBRARY
    )
    sampling_interval: Annotated[
        float, Duration(group=MEASURING, minimum=0.1, maximum=3600.0, help="time between two samples of a GPU")
    ] = 1.0
    wsl: Annotated[bool, Boolean(group=MEASURING, help="only list devices, as in the Windows Subsystem for Linux")] = (
        False
    )
    publish: Annotated[
        tuple[str, ...],
        Endpoints(
            group=TELEMETRY,
            help=f"where plugins find it; may be given several times; by default {SOCKET_NAME} beside --socket",
        ),
    ] = ()
    socket: Annotated[
        Path,
        FilePath(group=TELEMETRY, help="its directory is where we publish by default; no gRPC server is put there"),
    ] = Path("/var/lib/levelzero/server.sock")
    sysfs_root: Annotated[Path, FilePath(group=PATHS, help="where sysfs is mounted")] = Path("/sys")
    metrics_address: Annotated[
        ListenAddress | None, Address(group=OBSERVATION, help="serve /metrics, /healthz and /readyz there")
    ] = METRICS
    pod_attribution: Annotated[
        bool, Boolean(group=OBSERVATION, help="name the pods that GPUs work for in metrics; needs the kubelet's socket")
    ] = True
    kubelet_dir: Annotated[Path, FilePath(group=PATHS, help="the kubelet's directory; pod-resources is below it")] = (
        Path("/var/lib/kubelet")
    )
    resource_namespace: Annotated[
        str, LabelNamespace(group=OBSERVATION, help="of the device plugin's resources, by which pods ask for GPUs")
    ] = "gpu.intel.com"
    log_format: Annotated[str, Choice(group=OBSERVATION, values=("text", "json"), help="how log lines look")] = "text"
    v: Annotated[int, Integer(group=OBSERVATION, minimum=0, maximum=2**31 - 1, help="log verbosity, as klog's -v")] = 0

    def __post_init__(self) -> None:
        if not self.publish and len(str(self.socket.with_name(SOCKET_NAME)).encode()) > LONGEST_PATH:
            raise ValueError(f"--socket={self.socket}: expected a path whose directory has room for {SOCKET_NAME}")
        self.check_publish()
        self.check_labels()

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self.publish or (f"ipc://{self.socket.absolute().with_name(SOCKET_NAME)}",)
