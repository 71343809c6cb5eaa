"""The own node's object as a place for labels."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from xpu_shared.api_server import SERVICE_ACCOUNT, ApiError, ApiServer, NoApiServerError
from xpu_shared.labels.node import NodeLabels
from xpu_shared.labels.settings import NODE
from xpu_shared.labels.sinks import NoSinkError, SinkError


class NodeSink:
    name = NODE

    def __init__(self, labels: NodeLabels) -> None:
        self._labels = labels

    @staticmethod
    def of_this_pod(
        is_own: Callable[[str], bool], environment: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT
    ) -> "NodeSink":
        """The node in `NODE_NAME`, through the pod's service account; NoSinkError."""
        node = environment.get("NODE_NAME", "")
        try:
            return NodeSink(NodeLabels(ApiServer.of_this_pod(environment, service_account), node, is_own=is_own))
        except NoApiServerError as error:
            raise NoSinkError(f"--label-sink={NODE}: {error}") from None
        except ValueError as error:
            raise NoSinkError(f"--label-sink={NODE}: NODE_NAME: {error}") from None

    def update(self, labels: Mapping[str, str]) -> bool:
        try:
            return self._labels.update(labels, now=time.monotonic())
        except ApiError as error:
            raise SinkError(str(error)) from error

    def remove(self) -> None:
        try:
            self._labels.remove()
        except ApiError as error:
            raise SinkError(str(error)) from error
