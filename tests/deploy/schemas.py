"""Kubernetes' own schemas, without a cluster: what an API server of a version would refuse, unknown fields included."""

from collections.abc import Iterable

import kubernetes_validate

from deploy.rendering import Object

VERSIONS = ("1.34", "1.37")  # the oldest and the newest that are supported
FOREIGN = {  # kinds of others, whose definitions come with their own programs
    "NodeFeatureRule",
    "PodMonitor",
    "PrometheusRule",
    "ServiceMonitor",
}


def faults(objects: Iterable[Object]) -> list[str]:
    found = []
    for one in objects:
        if one["kind"] in FOREIGN:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = "/".join(str(part) for part in error.path)
                found.append(f"{one['kind']} {one['metadata']['name']}, {version}: {where}: {error.message}")
    return found
