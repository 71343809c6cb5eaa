"""Our rules for pods: what Kubernetes would let through and we do not."""

import re
from collections.abc import Iterable, Iterator

from deploy.allowed import CAPABILITIES, HOST_PATHS, MEMORY, PRIVILEGED, TOKENS, UNCONFINED
from deploy.pods import Container, Pod, pods
from deploy.rendering import Object

MIB = {"Mi": 1.0, "Gi": 1024.0}


def violations(objects: Iterable[Object]) -> list[str]:
    """One line for each rule that an object breaks; none is good."""
    found = []
    for pod in pods(objects):
        found += [f"{pod.owner}: {text}" for text in _of_pod(pod)]
        for container in pod.containers:
            found += [f"{pod.owner}, container {container.name}: {text}" for text in _of_container(pod, container)]
    return found


def _of_pod(pod: Pod) -> Iterator[str]:
    name = pod.owner.partition(" ")[2]
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key):
            yield f"{key} is on"
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "all its containers have a token: its automountServiceAccountToken is not false"
    tokens = {volume for volume, fields in pod.volumes.items() if "serviceAccountToken" in str(fields.get("projected"))}
    if bool(tokens) != ("serviceAccountName" in pod.spec):
        yield "a service account and a volume with its token are not there together"
    for container in pod.containers:
        if tokens & container.mounts.keys() and (name, container.name) not in TOKENS:
            yield f"{container.name} has a token without a reason"
    used = {mount for container in pod.containers for mount in container.mounts}
    if used != set(pod.volumes):
        yield f"volumes and mounts differ: {sorted(used ^ set(pod.volumes))}"
    for volume in pod.volumes.values():
        if path := volume.get("hostPath"):
            yield from _of_host_path(pod, volume["name"], path)


def _of_host_path(pod: Pod, volume: str, path: Object) -> Iterator[str]:
    allowed = HOST_PATHS.get(path["path"])
    if allowed is None:
        yield f"hostPath {path['path']} has no reason"
        return
    if not path.get("type"):
        yield f"hostPath {path['path']} has no type: a missing directory would be made, whatever it is"
    for container in pod.containers:
        mount = container.mounts.get(volume)
        if mount and not allowed.writable and not mount.get("readOnly"):
            yield f"hostPath {path['path']} can be written by {container.name}"
        if mount and path["path"] == "/dev" and mount.get("recursiveReadOnly") != "IfPossible":
            yield f"hostPath /dev: what is mounted below it, such as /dev/shm, can be written by {container.name}"


def _of_container(pod: Pod, container: Container) -> Iterator[str]:
    tag = container.fields["image"].rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        yield f"its image {container.fields['image']} has no version"
    yield from _of_resources(container)
    yield from _of_security(pod, container)
    ports = {port["name"] for port in container.fields.get("ports", [])}
    if ports and not container.init:
        for probe in ("livenessProbe", "readinessProbe"):
            port = container.fields.get(probe, {}).get("httpGet", {}).get("port")
            if port not in ports:
                yield f"it serves {', '.join(sorted(ports))}, and its {probe} asks {port}"
    last_words = container.fields.get("terminationMessagePath", "/dev/termination-log")
    if last_words.startswith("/dev/") and any(mount["mountPath"] == "/dev" for mount in container.mounts.values()):
        yield "its terminationMessagePath is in the host's /dev"


def _of_resources(container: Container) -> Iterator[str]:
    resources = container.fields.get("resources", {})
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in resources.get(kind, {}):
                yield f"it has no {resource} in its {kind}"
    limit = re.fullmatch(r"(\d+)(Mi|Gi)", str(resources.get("limits", {}).get("memory")))
    if limit and int(limit[1]) * MIB[limit[2]] < MEMORY.get(container.image, 0):
        yield f"its memory limit {limit[0]} is less than twice what it needs, {MEMORY[container.image]}Mi"


def _of_security(pod: Pod, container: Container) -> Iterator[str]:
    security = container.security
    place = (pod.owner.partition(" ")[2], container.name)
    if security.get("readOnlyRootFilesystem") is not True:
        yield "it can write its root file system"
    if security.get("runAsUser") is None:
        yield "its user is left to the image"
    if security.get("privileged"):
        if place not in PRIVILEGED:
            yield "it is privileged without a reason"
        return
    if security.get("allowPrivilegeEscalation") is not False:
        yield "it allows privilege escalation"
    if security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "it does not drop all capabilities"
    for capability in security.get("capabilities", {}).get("add", []):
        if capability not in CAPABILITIES.get(place, {}):
            yield f"it has {capability} without a reason"
    if security.get("appArmorProfile") and place not in UNCONFINED:
        yield "it has an AppArmor profile of its own without a reason"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "it has no seccomp profile"
