"""What an administrator may choose; docs/sgx.md explains it."""

from dataclasses import dataclass
from typing import Annotated

from xpu_shared.program.options import Boolean, Integer
from xpu_shared.program.settings import FamilySettings

ENCLAVES = "What is offered, and how often"
MOST = 10_000  # ids of a resource: their list has 0.3 of the 4 MiB that a kubelet takes


@dataclass(frozen=True, kw_only=True)
class Limit(Integer):
    """How many containers at once; without one it follows from how many pods the node may have."""

    def show(self, value: int | None) -> str:
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxSettings(FamilySettings):
    enclave_limit: Annotated[
        int | None,
        Limit(
            group=ENCLAVES,
            minimum=0,
            maximum=MOST,
            help="how many containers may have enclaves at once, 0 for none; by default as many as pods fit on the "
            "node: 110, or PODS_PER_CORE for each CPU",
        ),
    ] = None
    provision_limit: Annotated[
        int | None,
        Limit(group=ENCLAVES, minimum=0, maximum=MOST, help="the same for containers that provision enclaves"),
    ] = None
    dcap_infra_resources: Annotated[
        bool,
        Boolean(group=ENCLAVES, help="also offer qe and registration, one of each, for quoting and registration"),
    ] = False
    legacy_device_paths: Annotated[
        bool,
        Boolean(group=ENCLAVES, help="give containers the files as /dev/sgx/enclave and /dev/sgx/provision too"),
    ] = False
