"""`kubelet_internal_checkpoint`: what a kubelet knows of devices and pods after its restart, as kubelets write it.

Two things differ from a real one. `PodUID` is the pod's name, which is unique here. And `Checksum` is the CRC-32 of
the data as written, because that of kubelets is a hash over a Go program's memory layout: neither reads the other's.
"""

import base64
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from pydantic import BaseModel, Field, ValidationError

from xpu_simulator.kubelet.grants import NO_NODE, Grant
from xpu_simulator.kubelet.pods import CONTAINER
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

FILE = "kubelet_internal_checkpoint"


class CheckpointError(Exception):
    """The file cannot be read or written, or is not as it was written; one line that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    grants: Sequence[Grant] = ()
    registered: Mapping[str, Sequence[str]] = field(default_factory=dict)  # healthy ids by resource


class _Entry(BaseModel):
    pod: str = Field(alias="PodUID")
    container: str = Field(alias="ContainerName")
    resource: str = Field(alias="ResourceName")
    nodes: dict[int, list[str]] | list[str] = Field(alias="DeviceIDs")  # a list: from before there were NUMA nodes
    answer: str = Field(alias="AllocResp")


class _Data(BaseModel):
    entries: list[_Entry] | None = Field(alias="PodDeviceEntries")
    registered: dict[str, list[str] | None] | None = Field(alias="RegisteredDevices")


def write(directory: Path, checkpoint: Checkpoint) -> None:
    """Put a new file in the place of the old one, whole. Raises CheckpointError."""
    data = {
        "PodDeviceEntries": [_line(grant) for grant in checkpoint.grants],
        "RegisteredDevices": {resource: list(ids) for resource, ids in checkpoint.registered.items()},
    }
    path = directory / FILE
    new = path.with_name(f".{FILE}")
    try:
        new.write_text(json.dumps({"Data": data, "Checksum": checksum(data)}))
        os.replace(new, path)  # noqa: PTH105 - Path.replace is the same; its name does not say that it is atomic
    except OSError as error:
        raise CheckpointError(f'failed to write checkpoint file "{path}": {error.strerror}') from error


def read(directory: Path) -> Checkpoint:
    """What was written last, nothing when there is no file. Raises CheckpointError."""
    path = directory / FILE
    try:
        content = json.loads(path.read_text())
        data = content["Data"]
        if content["Checksum"] != checksum(data):
            raise CheckpointError(f"{path}: checkpoint is corrupted: expected checksum {checksum(data)}")
        parsed = _Data.model_validate(data)
        return Checkpoint(
            grants=[_grant(entry) for entry in parsed.entries or ()],
            registered={resource: ids or [] for resource, ids in (parsed.registered or {}).items()},
        )
    except FileNotFoundError:
        return Checkpoint()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}: checkpoint is corrupted: {where}: {first['msg']}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: checkpoint is corrupted: {type(error).__name__}: {error}") from error


def _line(grant: Grant) -> dict[str, Any]:
    return {
        "PodUID": grant.pod,
        "ContainerName": CONTAINER,
        "ResourceName": grant.resource,
        "DeviceIDs": {str(node): list(ids) for node, ids in grant.nodes.items()},
        "AllocResp": base64.b64encode(grant.answer.SerializeToString(deterministic=True)).decode(),
    }


def _grant(entry: _Entry) -> Grant:
    nodes = {NO_NODE: entry.nodes} if isinstance(entry.nodes, list) else entry.nodes
    try:
        answer = pb.ContainerAllocateResponse.FromString(base64.b64decode(entry.answer, validate=True))
    except (ValueError, DecodeError) as error:
        raise ValueError(f"AllocResp of pod {entry.pod!r} is no answer in base64: {error}") from error
    return Grant(pod=entry.pod, resource=entry.resource, nodes=nodes, answer=answer)


def checksum(data: object) -> int:
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())
