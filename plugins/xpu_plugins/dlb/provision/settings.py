"""What an administrator may choose; docs/provisioning.md explains it. Flags win over variables, those over the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from xpu_plugins.dlb.provision.layout import ON_BUSY
from xpu_plugins.dlb.provision.shares import Resources, parse_resources
from xpu_shared.kernel.vfio import PCI_ADDRESS
from xpu_shared.node_name import is_node_name
from xpu_shared.program.flags import UsageError, shown
from xpu_shared.program.options import Boolean, Choice, FilePath, Integer, Option
from xpu_shared.program.settings import PATHS
from xpu_shared.provisioning.settings import WORK, ProvisioningSettings

WORDS = ("first", "all", "none", "alternate")


@dataclass(frozen=True, kw_only=True)
class PhysicalFunctions(Option[tuple[str, ...] | None]):
    """Which physical functions: a word, or addresses."""

    @property
    def allowed(self) -> str:
        return f"{', '.join(WORDS)}, or PCI addresses such as 0000:6d:00.0 with commas between"

    @property
    def placeholder(self) -> str:
        return "which"

    def parse(self, text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        if names not in {(word,) for word in WORDS} and not all(PCI_ADDRESS.fullmatch(name) for name in names):
            raise self.refusal()
        return names

    def show(self, value: tuple[str, ...] | None) -> str:
        return ",".join(value or ())


@dataclass(frozen=True, kw_only=True)
class Shares(Option[Resources | None]):
    @property
    def allowed(self) -> str:
        return "reference, equal or amounts such as num_ldb_ports=4,num_dir_ports=8"

    def parse(self, text: str) -> Resources:
        try:
            return parse_resources(text)
        except ValueError:
            raise self.refusal() from None

    def show(self, value: Resources | None) -> str:
        return "" if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class DlbProvisioningSettings(ProvisioningSettings):
    pf: Annotated[
        tuple[str, ...] | None,
        PhysicalFunctions(
            group=WORK,
            help="which physical functions get virtual ones: first, all, none, alternate (every second one) or "
            "addresses; by default those of the file, without a file the first",
        ),
    ] = None
    num_vfs: Annotated[
        int | None,
        Integer(group=WORK, minimum=1, maximum=10**9, help="how many virtual functions each gets, by default 1"),
    ] = None
    resources: Annotated[
        Resources | None,
        Shares(
            group=WORK,
            help="what each virtual function owns: reference (what the reference's init container gives, for one "
            "only; the default), equal, or amounts by name, all others being 0",
        ),
    ] = None
    on_busy: Annotated[
        str | None,
        Choice(group=WORK, values=ON_BUSY, help="virtual functions in use: keep them (the default), or fail"),
    ] = None
    require_pf: Annotated[bool, Boolean(group=WORK, help="end with 1 when there is no physical function")] = False
    kubelet_dir: Annotated[
        Path, FilePath(group=PATHS, help="the kubelet's directory, whose pod-resources say which functions pods hold")
    ] = Path("/var/lib/kubelet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Flags and environment variables together; None: neither says anything."""

    pfs: tuple[str, ...] | None
    vfs: int | None
    resources: Resources | None
    node_name: str

    @staticmethod
    def of(settings: DlbProvisioningSettings, environment: Mapping[str, str]) -> "Choices":
        """UsageError for a variable that cannot be used."""
        node_name = environment.get("NODE_NAME", "")
        if node_name and not is_node_name(node_name):
            raise UsageError(f"NODE_NAME={shown(node_name)}: expected a node's name", exit_code=1)

        def said(variable: str, option: Option[Any]) -> Any:
            text = environment.get(variable, "")
            try:
                return option.parse(text) if text else None
            except ValueError as error:
                raise UsageError(f"{variable}={shown(text)}: {error}") from None

        pfs = settings.pf or said("DLB_PFS", PhysicalFunctions(help=""))
        vfs = settings.num_vfs or said("DLB_NUM_VFS", Integer(help="", minimum=1, maximum=10**9))
        resources = settings.resources or said("DLB_VF_RESOURCES", Shares(help=""))
        return Choices(pfs=pfs, vfs=vfs, resources=resources, node_name=node_name)
