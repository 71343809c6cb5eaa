"""Metrics pages of plugins and the Level-Zero sidecar, read as Prometheus reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from soak.said import UNKNOWN, Page, Share
from soak.truth import HEALTHY, UNHEALTHY, Id


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginPage:
    """A plugin's page, as far as it is compared."""

    health: Mapping[Id, str]
    reasons: Mapping[Id, frozenset[str]]
    counts: Mapping[tuple[str, str], float]  # devices by resource and health
    streams: Mapping[str, float]  # by resource


def plugin_page(text: str) -> PluginPage:
    health: dict[Id, str] = {}
    reasons: dict[Id, frozenset[str]] = {}
    counts, streams = {}, {}
    for sample in _samples(text):
        labels = sample.labels
        match sample.name:
            case "xpu_device_health":
                id_ = labels["resource"], labels["device"]
                health[id_] = HEALTHY if sample.value else UNHEALTHY
                reasons[id_] = reasons.get(id_, frozenset()) | {labels["reason"]}
            case "xpu_devices":
                counts[labels["resource"], labels["health"]] = sample.value
            case "xpu_list_streams":
                streams[labels["resource"]] = sample.value
    return PluginPage(health=health, reasons=reasons, counts=counts, streams=streams)


def sidecar_page(text: str) -> Page:
    owners, states, celsius = {}, {}, {}
    shares, up = set(), False
    for sample in _samples(text):
        labels = sample.labels
        gpu = labels.get("pci_bdf", "")
        match sample.name:
            case "hw_gpu_info":
                owners[gpu] = labels.get("pod", "")
            case "hw_status" if labels["hw_type"] == "gpu" and sample.value:
                states[gpu] = labels["hw_state"]
            case "hw_temperature_celsius" if labels["location"] == "global":
                celsius[gpu] = sample.value
            case "xpu_gpu_allocation_info":
                shares.add(Share(gpu, labels["pod"], labels["resource"]))
            case "xpu_source_up":
                up = bool(sample.value)
    conditions = {gpu: states.get(gpu, UNKNOWN) for gpu in owners}
    return Page(conditions=conditions, celsius=celsius, shares=frozenset(shares), owners=owners, up=up)


def _samples(text: str) -> Iterator[Sample]:
    return (sample for family in text_string_to_metric_families(text) for sample in family.samples)
