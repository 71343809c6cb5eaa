"""Which load balancer functions pods hold, as the kubelet's pod-resources API tells; asked once, when it matters."""

from pathlib import Path

from xpu_shared.program.logs import Log

RESOURCE = "dlb.intel.com/vf"
DEADLINE = 5.0  # seconds for an answer

log = Log("dlb")


def held(kubelet_dir: Path) -> frozenset[str]:
    """The ids of virtual functions that containers hold: `/dev/dlb3` or a PCI address.

    Nothing without the kubelet's socket, which needs a mount of its own; then open files have to say it.
    """
    socket = kubelet_dir / "pod-resources/kubelet.sock"
    if not socket.exists():
        return frozenset()
    import grpc  # noqa: PLC0415 - most runs change nothing, and need not know

    from xpu_wire.podresources_v1_pb2 import ListPodResourcesRequest  # noqa: PLC0415 - as above
    from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerStub  # noqa: PLC0415 - as above

    try:
        with grpc.insecure_channel(f"unix:{socket.absolute()}") as channel:
            answer = PodResourcesListerStub(channel).List(ListPodResourcesRequest(), timeout=DEADLINE)
    except grpc.RpcError as error:
        log.warning("does not know which functions pods hold", socket=socket, reason=error.code().name)
        return frozenset()
    return frozenset(
        id_
        for pod in answer.pod_resources
        for container in pod.containers
        for devices in container.devices
        if devices.resource_name.startswith("dlb.intel.com/")
        for id_ in devices.device_ids
    )
