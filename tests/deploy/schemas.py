"""What API servers would refuse, unknown fields included, without one.

Kubernetes' own kinds are held against the schemas of two versions, other projects' kinds against these projects' types.
"""

import json
from collections.abc import Iterable
from functools import cache

import kubernetes_validate

from deploy.rendering import Object
from deploy.tools import kinds, run

VERSIONS = ("1.34", "1.37")  # the oldest and the newest that are supported
FOREIGN = {  # kinds of others, whose definitions come with their own programs
    "NodeFeatureRule",
    "PodMonitor",
    "PrometheusRule",
    "ServiceMonitor",
}


def faults(objects: Iterable[Object]) -> list[str]:
    return [fault for one in objects if one["kind"] not in FOREIGN for fault in _of(json.dumps(one))]


def foreign_faults(objects: Iterable[Object]) -> list[str]:
    done = run([kinds()], text=json.dumps([one for one in objects if one["kind"] in FOREIGN]))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@cache
def _of(text: str) -> tuple[str, ...]:
    """Of one object; many renderings have the same ones."""
    found = []
    one = json.loads(text)
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = "/".join(str(part) for part in error.path)
            found.append(f"{one['kind']} {one['metadata']['name']}, {version}: {where}: {error.message}")
    return tuple(found)
