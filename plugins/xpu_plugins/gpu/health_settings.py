"""What an administrator may choose about health and its sources; docs/gpu.md explains it."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

from xpu_shared.program.endpoints import LONGEST_PATH
from xpu_shared.program.options import Boolean, Choice, Duration, Integer, Option
from xpu_shared.program.settings import FamilySettings
from xpu_shared.telemetry.settings import SubscriberSettings

HEALTH = "The GPUs' health"
LIMIT = 100  # °C
FABRIC = ("ipc:///run/xpu/xelink.sock",)  # where the XeLink sidecar publishes
SIDECARS = ("ipc:///run/xpu/level-zero.sock", "ipc:///var/lib/levelzero/level-zero.sock")  # where one publishes


@dataclass(frozen=True, kw_only=True)
class SocketPath(Option[Path | None]):
    """A unix socket; an empty text is none."""

    @property
    def allowed(self) -> str:
        return f"a path of at most {LONGEST_PATH} bytes"

    @property
    def placeholder(self) -> str:
        return "path"

    def parse(self, text: str) -> Path | None:
        if "\0" in text or len(os.fsencode(text)) > LONGEST_PATH:
            raise self.refusal()
        return Path(text) if text else None

    def show(self, value: Path | None) -> str:
        return "" if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Words(Option[tuple[str, ...]]):
    """Words separated by commas; in YAML a list too."""

    @property
    def allowed(self) -> str:
        return "words separated by commas"

    @property
    def placeholder(self) -> str:
        return "words"

    def parse(self, text: str) -> tuple[str, ...]:
        words = tuple(part.strip(" ") for part in text.split(",")) if text else ()
        if not all(word.isprintable() and word for word in words):
            raise self.refusal()
        return words

    def accept(self, value: object) -> tuple[str, ...]:
        if isinstance(value, list):
            return tuple(word for item in value for word in super(Words, self).accept(item))
        return super().accept(value)

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


def temperature(what: str) -> Integer:
    return Integer(group=HEALTH, minimum=0, maximum=1000, help=f"take a GPU out when {what} is above so many °C")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings(FamilySettings, SubscriberSettings):
    health_management: Annotated[
        bool, Boolean(group=HEALTH, help="judge the GPUs' health by what the Level-Zero sidecar measures")
    ] = False
    xpumd_endpoint: Annotated[
        Path | None, SocketPath(group=HEALTH, help="judge the GPUs' health by what XPU Manager's xpumd says there")
    ] = None
    xpumd_tolerate: Annotated[
        tuple[str, ...],
        Words(group=HEALTH, help="domains and reasons of which a warning by xpumd takes no GPU out"),
    ] = ("throttled", "ecc_enabled")
    xpumd_max_age: Annotated[
        float, Duration(group=HEALTH, minimum=1.0, help="how long an answer of xpumd is good for")
    ] = 120.0
    temp_limit: Annotated[int, temperature("a global sensor, or of the other two too if it is given alone,")] = LIMIT
    gpu_temp_limit: Annotated[int, temperature("a GPU sensor")] = LIMIT
    memory_temp_limit: Annotated[int, temperature("a memory sensor")] = LIMIT
    temp_hysteresis: Annotated[
        int, Integer(group=HEALTH, minimum=0, maximum=1000, help="so many °C below its limit a GPU has cooled down")
    ] = 5
    health_leave_dwell: Annotated[
        float, Duration(group=HEALTH, help="how long a GPU must be well before it is put back")
    ] = 30.0
    health_stale: Annotated[
        str,
        Choice(
            group=HEALTH,
            values=("keep", "unhealthy"),
            help="what a GPU is that nothing tells of: keep leaves it as last known, unhealthy takes it out",
        ),
    ] = "keep"
    ras_uncorrectable_limit: Annotated[
        int,
        Integer(
            group=HEALTH,
            minimum=0,
            help="so many uncorrectable errors since its driver was loaded take a GPU out; 0: none do",
        ),
    ] = 0
    inject_env: Annotated[
        bool,
        Boolean(
            group=HEALTH, help="tell containers memory size, UUID, tiles and links of their GPUs in their environment"
        ),
    ] = True
    wsl: Annotated[
        bool, Boolean(group=HEALTH, help="offer the GPUs of the Windows Subsystem for Linux, as the sidecar lists them")
    ] = False

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Where sidecars publish, as far as anything is to be read from them."""
        return self.telemetry or (SIDECARS if self.health_management or self.wsl else ())

    def check_health(self) -> None:
        """Refuse what cannot be together, or not alone; ValueError names the flags."""
        self.check_telemetry()
        if self.wsl and self.health_management:
            raise ValueError("--wsl and --health-management: there is no health within WSL")
        if self.xpumd_endpoint is None:
            return
        flag = f"--xpumd-endpoint={self.xpumd_endpoint}"
        if self.wsl:
            raise ValueError(f"--wsl and {flag}: there is no health within WSL")
        if self.health_management:
            raise ValueError(f"--health-management and {flag}: only one source of health can be given")
        for name, limit in self._limits():
            if limit != LIMIT:
                raise ValueError(f"--{name}={limit} and {flag}: xpumd has limits of its own")

    def _limits(self) -> tuple[tuple[str, int], ...]:
        return (
            ("temp-limit", self.temp_limit),
            ("gpu-temp-limit", self.gpu_temp_limit),
            ("memory-temp-limit", self.memory_temp_limit),
        )


S = TypeVar("S", bound=HealthSettings)


def completed_health(settings: S, given: Collection[str]) -> S:
    """The settings with what follows from those that were given."""
    if "temp_limit" in given and not {"gpu_temp_limit", "memory_temp_limit"} & set(given):
        settings = replace(settings, gpu_temp_limit=settings.temp_limit, memory_temp_limit=settings.temp_limit)
    implied = settings.telemetry and not settings.wsl and settings.xpumd_endpoint is None
    if implied and "health_management" not in given:
        settings = replace(settings, health_management=True)
    return settings
