"""What an administrator may choose about telemetry. A program's settings inherit from the side that it is on.

Neither class has slots: a dataclass with slots can inherit from one class with slots only, and a program's settings
inherit from `PluginSettings` too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from xpu_shared.program.endpoints import Endpoints
from xpu_shared.program.options import Duration, FilePath, Integer
from xpu_shared.telemetry.bounds import LARGEST, MAX_SKEW, Limits

TELEMETRY = "Telemetry"


@dataclass(frozen=True, kw_only=True)
class SubscriberSettings:
    telemetry: Annotated[
        tuple[str, ...], Endpoints(group=TELEMETRY, help="where a sidecar publishes; may be given several times")
    ] = ()
    telemetry_secret_key: Annotated[
        Path | None, FilePath(group=TELEMETRY, help="the file with this program's secret key, for endpoints of tcp://")
    ] = None
    telemetry_server_key: Annotated[
        Path | None, FilePath(group=TELEMETRY, help="the file with the sidecars' public key, for endpoints of tcp://")
    ] = None
    telemetry_max_bytes: Annotated[
        int, Integer(group=TELEMETRY, minimum=1024, maximum=2**30, help="take no message of more bytes")
    ] = LARGEST
    telemetry_max_skew: Annotated[
        float, Duration(group=TELEMETRY, help="how much the clock of another machine that publishes may differ")
    ] = MAX_SKEW

    @property
    def telemetry_limits(self) -> Limits:
        return Limits(largest=self.telemetry_max_bytes, max_skew=self.telemetry_max_skew)

    def check_telemetry(self) -> None:
        """Refuse tcp:// without keys; ValueError names the flags."""
        _check(
            "telemetry",
            self.telemetry,
            telemetry_secret_key=self.telemetry_secret_key,
            telemetry_server_key=self.telemetry_server_key,
        )


@dataclass(frozen=True, kw_only=True)
class PublisherSettings:
    publish: Annotated[
        tuple[str, ...], Endpoints(group=TELEMETRY, help="where plugins find it; may be given several times")
    ] = ()
    publish_secret_key: Annotated[
        Path | None, FilePath(group=TELEMETRY, help="the file with this program's secret key, for endpoints of tcp://")
    ] = None
    publish_allowed_keys: Annotated[
        Path | None,
        FilePath(group=TELEMETRY, help="the file with the public keys that may subscribe, one a line, for tcp://"),
    ] = None

    def check_publish(self) -> None:
        """Refuse tcp:// without keys; ValueError names the flags."""
        _check(
            "publish",
            self.publish,
            publish_secret_key=self.publish_secret_key,
            publish_allowed_keys=self.publish_allowed_keys,
        )


def _check(flag: str, endpoints: tuple[str, ...], **files: Path | None) -> None:
    open_to_all = [endpoint for endpoint in endpoints if endpoint.startswith("tcp://")]
    missing = [f"--{name.replace('_', '-')}" for name, path in files.items() if path is None]
    if open_to_all and missing:
        raise ValueError(
            f"--{flag}={open_to_all[0]}: tcp:// is only used with keys, {' and '.join(missing)} must be given"
        )
