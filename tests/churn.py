"""Pods that come and go on a simulated node, and a metrics page that must name the right ones each time it is read."""

import asyncio
import random
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.kubelet.simulated import SimulatedKubelet

RESOURCE = "gpu.intel.com/i915"
UNSURE = 0.5  # seconds between the kubelet's answer and the time that the page gives for it, on a busy machine

Truth = Mapping[str, frozenset[str]]  # the pods that have a GPU, by its PCI address


@dataclass
class Page:
    """What one scrape says of pods."""

    shares: Truth
    exclusive: Mapping[str, str]  # the pod on a GPU's own series, by PCI address
    known: float  # when the kubelet told it, Unix seconds
    read: float  # when the page was read


def scrape(url: str) -> Page:
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        text = answer.read().decode()
    shares: dict[str, set[str]] = {}
    exclusive: dict[str, set[str]] = {}
    known = 0.0
    for metric in text_string_to_metric_families(text):
        for sample in metric.samples:
            pod, address = sample.labels.get("pod"), sample.labels.get("pci_bdf", "")
            if sample.name == "xpu_gpu_allocation_info":
                shares.setdefault(address, set()).add(str(pod))
            elif sample.name == "xpu_pod_resources_last_success_timestamp_seconds":
                known = sample.value
            elif sample.name.startswith("hw_"):
                exclusive.setdefault(address, set()).add(pod or "")
    assert all(len(pods) == 1 for pods in exclusive.values()), f"one page, two answers: {exclusive}"
    return Page(
        shares={address: frozenset(pods) for address, pods in shares.items()},
        exclusive={address: pod for address, (pod,) in exclusive.items() if pod},
        known=known,
        read=time.time(),
    )


@dataclass
class Churn:
    """Starts and stops pods at random and remembers what was true when. `addresses` are by card."""

    kubelet: SimulatedKubelet
    addresses: Mapping[str, str]
    changes: int = 0
    _states: list[tuple[float, Truth]] = field(default_factory=lambda: [(0.0, {})])  # and since when it may be true
    _settled: list[float] = field(default_factory=list)  # when each state but the first was surely true

    async def run(self, *, seconds: float, per_second: float) -> None:
        chance = random.Random(7)
        end, number = time.monotonic() + seconds, 0
        due = time.monotonic()
        while (due := due + 1 / per_second) < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            pods = sorted(self.kubelet.pods)
            began = time.time()
            if pods and chance.random() < 0.5:
                self.kubelet.delete(chance.choice(pods))
            else:
                number += 1
                try:
                    await self.kubelet.admit(f"pod-{number}", {RESOURCE: chance.randint(1, 3)})
                except AdmissionError:  # there are not so many left, which is final for a pod
                    self.kubelet.delete(f"pod-{number}") if f"pod-{number}" in self.kubelet.pods else None
            self._states.append((began, self._truth()))
            self._settled.append(time.time())
            self.changes += 1

    def possible(self, page: Page) -> bool:
        """Whether the page says what was true when it says that it was."""
        return any(self._says(page, truth) for truth in self._between(page.known - UNSURE, page.known))

    def _between(self, first: float, last: float) -> list[Truth]:
        ends = [*self._settled, float("inf")]  # a state may be true until the next one surely is
        return [
            state for (since, state), until in zip(self._states, ends, strict=False) if since <= last and until >= first
        ]

    def _says(self, page: Page, truth: Truth) -> bool:
        alone = {address: next(iter(pods)) for address, pods in truth.items() if len(pods) == 1}
        return page.shares == truth and page.exclusive == alone

    def _truth(self) -> Truth:
        found: dict[str, set[str]] = {}
        for pod in self.kubelet.pods.values():
            for id_ in pod.devices.get(RESOURCE, ()):
                found.setdefault(self.addresses[id_.partition("-")[0]], set()).add(pod.name)
        return {address: frozenset(pods) for address, pods in found.items()}


@dataclass
class Scrapes:
    """How the pages fared."""

    pages: int = 0
    with_pods: int = 0
    wrong: list[Page] = field(default_factory=list)
    oldest: float = 0.0  # seconds between the kubelet's answer and the reading of the page

    async def run(self, url: str, churn: Churn, *, seconds: float, pause: float) -> None:
        """Read the page and compare it for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            page = await asyncio.to_thread(scrape, url)
            self.pages += 1
            self.with_pods += bool(page.shares)
            self.oldest = max(self.oldest, page.read - page.known)
            if not churn.possible(page):
                self.wrong.append(page)
            await asyncio.sleep(pause)
