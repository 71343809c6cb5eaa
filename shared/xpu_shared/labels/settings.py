"""What an administrator may choose about node labels. A program's settings inherit from it.

No slots, as the telemetry's settings: a program's settings inherit from several of these.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from xpu_shared.labels.values import LONGEST_NAMESPACE, is_namespace
from xpu_shared.program.options import Boolean, FilePath, Option

LABELS = "Node labels"
NAMESPACE = "gpu.intel.com"
FEATURES = Path("/etc/kubernetes/node-feature-discovery/features.d")
NFD, NODE, NONE = "nfd", "node", "none"
SPELLINGS = {NFD: NFD, "file": NFD, NODE: NODE, NONE: NONE}


@dataclass(frozen=True, kw_only=True)
class LabelSinks(Option[tuple[str, ...]]):
    """As many as the flag is given times; in YAML a text or a list of texts."""

    repeatable: ClassVar[bool] = True

    @property
    def allowed(self) -> str:
        return "nfd (or file), node or none"

    @property
    def placeholder(self) -> str:
        return "nfd|node|none"

    def parse(self, text: str) -> tuple[str, ...]:
        if text not in SPELLINGS:
            raise self.refusal()
        return (SPELLINGS[text],)

    def accept(self, value: object) -> tuple[str, ...]:
        if isinstance(value, list):
            return tuple(dict.fromkeys(sink for item in value for sink in super(LabelSinks, self).accept(item)))
        return super().accept(value)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)


@dataclass(frozen=True, kw_only=True)
class LabelNamespace(Option[str]):
    @property
    def allowed(self) -> str:
        return f"a DNS name in lower case of at most {LONGEST_NAMESPACE} characters"

    @property
    def placeholder(self) -> str:
        return "name"

    def parse(self, text: str) -> str:
        if not is_namespace(text):
            raise self.refusal()
        return text


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    label_sink: Annotated[
        tuple[str, ...],
        LabelSinks(
            group=LABELS,
            help="where labels go: nfd, a feature file; node, the own node's object; none. May be given several times",
        ),
    ] = (NFD,)
    label_namespace: Annotated[
        str, LabelNamespace(group=LABELS, help="what stands before the / of the labels' names")
    ] = NAMESPACE
    features_dir: Annotated[Path, FilePath(group=LABELS, help="where NFD looks for feature files")] = FEATURES
    remove_labels_on_exit: Annotated[
        bool, Boolean(group=LABELS, help="take the labels away at the end; otherwise they are there during a restart")
    ] = False

    @property
    def label_sinks(self) -> tuple[str, ...]:
        """Each sink once, none for `none`."""
        return tuple(dict.fromkeys(sink for sink in self.label_sink if sink != NONE))

    def check_labels(self) -> None:
        """Refuse `none` beside another sink; ValueError."""
        if NONE in self.label_sink and self.label_sinks:
            raise ValueError(f"--label-sink={NONE}: cannot be given together with {', '.join(self.label_sinks)}")
