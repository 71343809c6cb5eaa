"""Values to protobuf messages of the device plugin API."""

from collections.abc import Iterable

from xpu_shared.device import Allocation, Device
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

# The kubelet's client takes less than 4 MiB; some room is left for what gRPC adds.
LARGEST_LIST = 4_000_000  # bytes


def list_message(devices: Iterable[Device]) -> pb.ListAndWatchResponse:
    message = pb.ListAndWatchResponse()
    for device in devices:  # one by one: to copy 100,000 at once would hold all threads up for 40 ms
        listed = message.devices.add(ID=device.id, health=device.health)
        # An empty TopologyInfo is not the same as none: kubelets leave such devices out of the allocatable ones.
        for node in device.numa_nodes:
            listed.topology.nodes.add(ID=node)
    return message


def allocation_message(allocation: Allocation) -> pb.ContainerAllocateResponse:
    return pb.ContainerAllocateResponse(
        envs=allocation.envs,
        annotations=allocation.annotations,
        devices=[
            pb.DeviceSpec(container_path=node.container_path, host_path=node.host_path, permissions=node.permissions)
            for node in allocation.nodes
        ],
        mounts=[
            pb.Mount(container_path=mount.container_path, host_path=mount.host_path, read_only=mount.read_only)
            for mount in allocation.mounts
        ],
        cdi_devices=[pb.CDIDevice(name=name) for name in allocation.cdi_names],
    )
