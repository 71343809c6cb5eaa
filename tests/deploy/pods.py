"""The pods among rendered objects, and their containers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deploy.rendering import Object


@dataclass(frozen=True)
class Container:
    fields: Object
    init: bool

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
    def image(self) -> str:
        """Its name, without registry and tag."""
        return str(self.fields["image"]).rpartition("/")[2].partition(":")[0]

    @property
    def security(self) -> Object:
        return dict(self.fields.get("securityContext", {}))

    @property
    def mounts(self) -> dict[str, Any]:
        """By the volume's name."""
        return {mount["name"]: mount for mount in self.fields.get("volumeMounts", [])}


@dataclass(frozen=True)
class Pod:
    owner: str  # such as "DaemonSet intel-gpu-plugin"
    labels: dict[str, str]
    spec: Object

    @property
    def containers(self) -> list[Container]:
        found = [Container(fields, init=True) for fields in self.spec.get("initContainers", [])]
        return found + [Container(fields, init=False) for fields in self.spec["containers"]]

    @property
    def volumes(self) -> dict[str, Any]:
        return {volume["name"]: volume for volume in self.spec.get("volumes", [])}


def pods(objects: Iterable[Object]) -> Iterator[Pod]:
    for one in objects:
        owner = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield Pod(owner, one["metadata"].get("labels", {}), one["spec"])
        elif one["kind"] in ("DaemonSet", "Deployment", "Job"):
            template = one["spec"]["template"]
            yield Pod(owner, template["metadata"].get("labels", {}), template["spec"])
