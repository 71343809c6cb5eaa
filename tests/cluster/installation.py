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
OURS = "xpu-device-plugins"  # the namespace that some of the objects name
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OURS}}


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
    objects: Sequence[Object],
    tree: Path,
    arguments: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None = None,
    host: Mapping[str, Path] | None = None,
) -> list[Object]:
    """Kustomize's objects with their DaemonSets' containers told of a simulated tree.

    Args:
        arguments: more of them by the container's name.
        environment: of every container.
        host: directories that stand for some of the host's.
    """
    changed: list[Object] = json.loads(json.dumps(objects))
    more = [{"name": name, "value": value} for name, value in (environment or {}).items()]
    for document in changed:
        document["metadata"].setdefault("labels", {}).update(MARK)
        if document["kind"] != "DaemonSet":
            continue
        pod = document["spec"]["template"]["spec"]
        for volume in pod["volumes"]:
            if (path := volume.get("hostPath", {}).get("path")) in (host or {}):
                volume["hostPath"]["path"] = str((host or {})[path])
        pod["volumes"].append({"name": "simulated", "hostPath": {"path": str(tree), "type": "Directory"}})
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            container["args"] = [*container.get("args", []), *arguments.get(container["name"], [])]
            container["env"] = [*container.get("env", []), *more]
            container["volumeMounts"].append({"name": "simulated", "mountPath": str(tree)})
    return changed


class Installation:
    """DaemonSets of ours on the cluster, with what they need, and the pods that they make."""

    def __init__(self, cluster: Cluster, objects: Sequence[Object]) -> None:
        self._cluster = cluster
        self._objects = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        daemon_sets = [document["metadata"] for document in objects if document["kind"] == "DaemonSet"]
        self._names = [metadata["name"] for metadata in daemon_sets]
        (self.namespace,) = {metadata.get("namespace", "default") for metadata in daemon_sets}
        self.selector = f"app in ({', '.join(self._names)})"

    def apply(self) -> None:
        if self.namespace == OURS:
            self.kubectl("apply", "-f", "-", document=NAMESPACE)
        self.kubectl("apply", "-f", "-", document=self._objects)

    def delete(self) -> None:
        gone = ("--ignore-not-found", "--wait=true", "--cascade=foreground")
        self._cluster.kubectl("delete", *gone, "-f", "-", document=self._objects)
        wait_until(lambda: not self.pods(), lambda: f"no pod of {self._names}, but {self.pods()}", seconds=40)
        if self.namespace == OURS:
            self._cluster.kubectl("delete", *gone, "namespace", OURS)

    def kubectl(self, *arguments: str, document: object = None) -> str:
        """In its namespace, where nothing else is said."""
        own = () if document else ("-n", self.namespace)  # objects say it themselves
        return self._cluster.kubectl(*own, *arguments, document=document)

    def pods(self) -> list[dict[str, Any]]:
        """By their names."""
        pods = self._cluster.get("pods", "-n", self.namespace, "-l", self.selector)["items"]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))

    def init_log(self) -> str:
        """Of the only init container of its only pod."""
        (pod,) = self.pods()
        (container,) = pod["spec"]["initContainers"]
        return self.kubectl("logs", pod["metadata"]["name"], "-c", container["name"])

    def is_ready(self) -> bool:
        found = [self._cluster.get("daemonset", name, "-n", self.namespace) for name in self._names]
        return len(self.pods()) == len(found) and all(
            one["status"].get("numberReady", 0) == one["status"].get("updatedNumberScheduled", 0) == 1
            and one["status"].get("observedGeneration") == one["metadata"]["generation"]
            for one in found
        )

    def wait_until_ready(self, seconds: float = 90) -> float:
        return wait_until(self.is_ready, self.story, seconds=seconds)

    def story(self) -> str:
        """For people who ask why it is not ready."""
        told = [f"{self._names} are not ready"]
        for pod in self.pods():
            name = pod["metadata"]["name"]
            told.append(self.kubectl("describe", "pod", name))
            told.append(self.kubectl("logs", name, "--all-containers", "--tail=30", "--ignore-errors"))
        return "\n".join(told)

    def update(self) -> None:
        """Have all pods replaced, as for a new version."""
        self.kubectl("rollout", "restart", *(f"daemonset/{name}" for name in self._names))


@contextmanager
def on_cluster(cluster: Cluster, objects: Sequence[Object]) -> Iterator[Installation]:
    """Objects on the cluster for as long as the context lasts."""
    installation = Installation(cluster, objects)
    try:
        installation.apply()
        yield installation
    finally:
        installation.delete()


@contextmanager
def installed(
    cluster: Cluster,
    directory: str,
    tree: Path,
    arguments: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Installation]:
    """A kustomization on the cluster, ready, for as long as the context lasts."""
    with on_cluster(cluster, on_tree(built(directory), tree, arguments, environment)) as installation:
        installation.wait_until_ready()
        yield installation


def finished_at(pod: Mapping[str, Any]) -> float | None:
    """When the pod's first container ended, in seconds since 1970; None when nothing says that it did."""
    for status in pod["status"].get("containerStatuses", []):
        if ended := status["state"].get("terminated"):
            return datetime.fromisoformat(ended["finishedAt"]).timestamp()
    return None
