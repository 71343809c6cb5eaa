"""What an administrator may choose; docs/xelink-sidecar.md explains it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from xpu_shared.labels.settings import FEATURES, LABELS, LabelSettings
from xpu_shared.program.options import (
    Address,
    Boolean,
    Choice,
    Duration,
    FilePath,
    Integer,
    ListenAddress,
    Option,
    Text,
)
from xpu_shared.program.settings import OBSERVATION, PATHS, Loaded, flag_name
from xpu_shared.telemetry.settings import PublisherSettings
from xpu_sidecars.level_zero.command import DEFAULT_LIBRARY
from xpu_sidecars.xelink.fetching import Place

SOURCE = "Where links are learnt"
METRICS = ListenAddress(host="", port=9102)
ENDPOINT = "ipc:///run/xpu/xelink.sock"
LABEL_FILE = "xpum-sidecar-labels.txt"
KEPT_INTERVALS = 6  # by default
LONGEST_URL = 2048


@dataclass(frozen=True, kw_only=True)
class Url(Option[str]):
    @property
    def allowed(self) -> str:
        return "a URL such as https://xpum.example:29999/metrics"

    def parse(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            well = False
        plain = len(text) <= LONGEST_URL and text.isascii() and text.isprintable() and " " not in text
        if text and not (well and plain and not parts.username and not parts.fragment):
            raise self.refusal()
        return text


@dataclass(frozen=True, kw_only=True)
class XelinkSettings(LabelSettings, PublisherSettings):
    # Read by pydantic when a YAML file is given; its keys are the flags' names.
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "alias_generator": flag_name}

    source: Annotated[
        str,
        Choice(
            group=SOURCE,
            values=("auto", "native", "xpum"),
            help="native reads the GPUs' fabric ports, xpum a metrics page of XPU Manager 1.x; auto is native where "
            "there is a Level-Zero library and a fabric port",
        ),
    ] = "auto"
    interval: Annotated[int, Integer(group=SOURCE, minimum=1, maximum=86_400, help="seconds between two looks")] = 10
    startup_delay: Annotated[
        int, Integer(group=SOURCE, minimum=0, maximum=86_400, help="seconds before the first look")
    ] = 10
    keep_last: Annotated[
        float,
        Duration(
            group=SOURCE,
            help=f"how long the newest links count when their source is silent; by default {KEPT_INTERVALS} intervals",
        ),
    ] = 60.0
    xpum_port: Annotated[
        int, Integer(group=SOURCE, minimum=1, maximum=65_535, help="the port of XPU Manager on 127.0.0.1")
    ] = 29999
    xpum_url: Annotated[str, Url(group=SOURCE, help="XPU Manager's metrics page, instead of the port")] = ""
    cert: Annotated[
        str, Text(group=SOURCE, help="a file with the PEM certificates to trust; XPU Manager is asked by https then")
    ] = ""
    xpum_token_file: Annotated[
        Path | None, FilePath(group=SOURCE, help="a file with the bearer token that XPU Manager asks for")
    ] = None
    strict_parse: Annotated[bool, Boolean(group=SOURCE, help="take no metrics page with a bad line of any metric")] = (
        False
    )
    library: Annotated[str, Text(group=SOURCE, shortest=1, help="the Level-Zero loader, by soname or path")] = (
        DEFAULT_LIBRARY
    )
    accept_degraded: Annotated[
        bool, Boolean(group=SOURCE, help="native: degraded ports join GPUs too, not only healthy ones")
    ] = False
    index: Annotated[
        str,
        Choice(
            group=SOURCE,
            values=("card-order", "ze"),
            help="native: how labels number GPUs: by the PCI addresses of all Intel cards, or of Level-Zero's devices",
        ),
    ] = "card-order"
    lane_count: Annotated[
        int, Integer(group=LABELS, minimum=0, help="a link with fewer lanes is not in the labels")
    ] = 4
    allow_subdeviceless_links: Annotated[
        bool, Boolean(group=LABELS, help="xpum: the labels also have links whose local side is a GPU without tiles")
    ] = False
    dst_file_path: Annotated[
        Path | None, FilePath(group=LABELS, help=f"the file with the labels; by default {LABEL_FILE} in --features-dir")
    ] = None
    tmp_dir_prefix: Annotated[
        Path,
        FilePath(group=LABELS, help="where an earlier program may have left temporary directories; they are removed"),
    ] = FEATURES
    remove_labels_on_exit: Annotated[bool, Boolean(group=LABELS, help="take the labels away at the end")] = True
    sysfs_root: Annotated[Path, FilePath(group=PATHS, help="where sysfs is mounted")] = Path("/sys")
    metrics_address: Annotated[
        ListenAddress | None, Address(group=OBSERVATION, help="serve /metrics, /healthz and /readyz there")
    ] = METRICS
    log_format: Annotated[str, Choice(group=OBSERVATION, values=("text", "json"), help="how log lines look")] = "text"
    v: Annotated[int, Integer(group=OBSERVATION, minimum=0, maximum=2**31 - 1, help="log verbosity, as klog's -v")] = 0

    def __post_init__(self) -> None:
        self.check_publish()
        self.check_labels()
        if self.xpum_url and self.cert and not self.xpum_url.startswith("https:"):
            raise ValueError(f"--cert={self.cert} and --xpum-url={self.xpum_url}: certificates are for https")

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self.publish or (ENDPOINT,)

    @property
    def label_file(self) -> Path:
        return self.dst_file_path or self.features_dir / LABEL_FILE

    @property
    def place(self) -> Place:
        """Of XPU Manager's page."""
        scheme = "https" if self.cert else "http"
        return Place(
            url=self.xpum_url or f"{scheme}://127.0.0.1:{self.xpum_port}/metrics",
            certificates=Path(self.cert) if self.cert else None,
            token=self.xpum_token_file,
        )


def completed(loaded: Loaded[XelinkSettings]) -> XelinkSettings:
    """The settings with what follows from those that were given."""
    settings = loaded.settings
    if "keep_last" in loaded.given:
        return settings
    return replace(settings, keep_last=float(KEPT_INTERVALS * settings.interval))
