"""Labels straight to the own node's object: one merge patch that touches own keys only."""

from collections.abc import Callable, Mapping

from xpu_shared.api_server import MERGE_PATCH, ApiError, ApiServer, is_node_name

REFRESH = (
    600.0  # seconds after which labels are looked at again although nothing changed: somebody may have edited them
)
SHORTEST_PAUSE = 5.0  # seconds between two patches: bounds what a flapping value costs the API server
LONGEST_PAUSE = 300.0  # seconds, after many failures


class NodeLabels:
    """What one writer wants of a node's labels.

    Args:
        is_own: whether a label's key is this writer's; own keys that are not wanted any more are removed.
    """

    def __init__(self, api: ApiServer, node: str, *, is_own: Callable[[str], bool]) -> None:
        if not is_node_name(node):
            raise ValueError(f"node name {node[:64]!a}: expected a DNS subdomain in lower case")
        self._api = api
        self._path = f"/api/v1/nodes/{node}"
        self._is_own = is_own
        self._written: Mapping[str, str] | None = None
        self._not_before = float("-inf")
        self._again_at = float("inf")
        self._failures = 0

    def due(self, labels: Mapping[str, str], *, now: float) -> bool:
        """Whether `update` would ask the API server. `now` is monotonic, in seconds."""
        return now >= self._not_before and (labels != self._written or now >= self._again_at)

    def update(self, labels: Mapping[str, str], *, now: float) -> bool:
        """Make the node's own labels be `labels`; returns whether it had to be patched. Blocks for the requests.

        Raises:
            ApiError: it failed; `due` says when to try again.
        """
        if not self.due(labels, now=now):
            return False
        try:
            changed = self._patch(labels)
        except ApiError:
            self._failures += 1
            self._not_before = now + min(SHORTEST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
            raise
        self._failures = 0
        self._written = dict(labels)
        self._not_before = now + SHORTEST_PAUSE
        self._again_at = now + REFRESH
        return changed

    def remove(self) -> None:
        """Take all own labels away, whatever the pauses.

        Raises:
            ApiError: it failed.
        """
        self._patch({})
        self._written = None

    def _patch(self, labels: Mapping[str, str]) -> bool:
        node = self._api.request("GET", self._path)
        metadata = node.get("metadata") if isinstance(node, dict) else None
        found = (metadata.get("labels") or {}) if isinstance(metadata, dict) else {}
        changes: dict[str, str | None] = {key: value for key, value in labels.items() if found.get(key) != value}
        changes |= {key: None for key in found if self._is_own(key) and key not in labels}
        if changes:
            self._api.request("PATCH", self._path, {"metadata": {"labels": changes}}, content_type=MERGE_PATCH)
        return bool(changes)
