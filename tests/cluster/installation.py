"""What deploy/ ships, on the real cluster: images into the node's containerd, objects from kustomize and Helm.

The only change to the objects is where the hardware is: a simulated tree at a hostPath, instead of /sys and /dev.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cluster.machine import Cluster, wait_until
from deploy.rendering import Object, built

IMAGES = Path(os.environ.get("XPU_TEST_IMAGES", "build/images"))
LOAD = "XPU_TEST_LOAD_IMAGE"
MARK = {"test": "xpu"}


class Loader:
    """Puts image archives into the node, each once."""

    def __init__(self) -> None:
        self._loaded: set[str] = set()

    def __call__(self, *names: str) -> None:
        if LOAD not in os.environ:
            pytest.skip(f"needs a command that gives the node an image archive: {LOAD} not set")
        for name in names:
            archive = IMAGES / f"{name}.tar"
            if not archive.exists():
                pytest.skip(f"needs {archive}: `make images`")
            if name not in self._loaded:
                subprocess.run([*shlex.split(os.environ[LOAD]), archive], check=True, capture_output=True, timeout=120)
                self._loaded.add(name)


def roots(tree: Path) -> list[str]:
    """Flags that show a program the tree, which is at the same path inside and outside of its container."""
    return [
        f"--sysfs-root={tree}/sys",
        f"--dev-root={tree}/dev",
        f"--host-dev-root={tree}/dev",
        f"--uevent-socket={tree}/uevents",
    ]


def on_tree(
    objects: Sequence[Object], tree: Path, arguments: Mapping[str, Sequence[str]], environment: Mapping[str, str]
) -> list[Object]:
    """Kustomize's objects with their DaemonSets' containers told of a simulated tree.

    Args:
        arguments: more of them by the container's name.
        environment: of every container.
    """
    changed: list[Object] = json.loads(json.dumps(objects))
    for document in changed:
        document["metadata"].setdefault("labels", {}).update(MARK)
        if document["kind"] != "DaemonSet":
            continue
        pod = document["spec"]["template"]["spec"]
        pod["volumes"].append({"name": "simulated", "hostPath": {"path": str(tree), "type": "Directory"}})
        for container in pod["containers"]:
            container["args"] = [*container.get("args", []), *arguments[container["name"]]]
            container["env"] = [*container.get("env", []), *({"name": k, "value": v} for k, v in environment.items())]
            container["volumeMounts"].append({"name": "simulated", "mountPath": str(tree)})
    return changed


class Installation:
    """A DaemonSet of ours on the cluster, and the pods that it makes."""

    def __init__(self, cluster: Cluster, objects: Sequence[Object]) -> None:
        self._cluster = cluster
        self._objects = objects
        (self.daemon_set,) = [document for document in objects if document["kind"] == "DaemonSet"]
        self.name: str = self.daemon_set["metadata"]["name"]

    def apply(self) -> None:
        for document in self._objects:
            self._cluster.kubectl("apply", "-f", "-", document=document)

    def delete(self) -> None:
        for document in self._objects:
            kind, name = document["kind"].lower(), document["metadata"]["name"]
            self._cluster.kubectl("delete", kind, name, "--ignore-not-found", "--wait=true", "--cascade=foreground")
        wait_until(lambda: not self.pods(), lambda: f"no pod of {self.name}, but {self.pods()}", seconds=40)

    def pods(self) -> list[dict[str, Any]]:
        pods: list[dict[str, Any]] = self._cluster.get("pods", "-l", f"app={self.name}")["items"]
        return pods

    def is_ready(self) -> bool:
        status = self._cluster.get("daemonset", self.name)["status"]
        return (
            status.get("numberReady", 0) == status.get("updatedNumberScheduled", 0) == 1
            and status.get("observedGeneration") == self._cluster.get("daemonset", self.name)["metadata"]["generation"]
            and len(self.pods()) == 1
        )

    def wait_until_ready(self, seconds: float = 90) -> float:
        return wait_until(self.is_ready, self.story, seconds=seconds)

    def story(self) -> str:
        """For people who ask why it is not ready."""
        told = [f"{self.name} is not ready"]
        for pod in self.pods():
            name = pod["metadata"]["name"]
            told.append(self._cluster.kubectl("describe", "pod", name))
            told.append(self._cluster.kubectl("logs", name, "--all-containers", "--tail=30"))
        return "\n".join(told)

    def update(self) -> None:
        """Have all pods replaced, as for a new version."""
        self._cluster.kubectl("rollout", "restart", f"daemonset/{self.name}")


@contextmanager
def installed(
    cluster: Cluster,
    directory: str,
    tree: Path,
    arguments: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Installation]:
    """A kustomization on the cluster, ready, for as long as the context lasts."""
    installation = Installation(cluster, on_tree(built(directory), tree, arguments, environment or {}))
    installation.apply()
    try:
        installation.wait_until_ready()
        yield installation
    finally:
        installation.delete()


def finished_at(pod: Mapping[str, Any]) -> float | None:
    """When the pod's first container ended, in seconds since 1970; None when nothing says that it did."""
    for status in pod["status"].get("containerStatuses", []):
        if ended := status["state"].get("terminated"):
            return datetime.fromisoformat(ended["finishedAt"]).timestamp()
    return None
