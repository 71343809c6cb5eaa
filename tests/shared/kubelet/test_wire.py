"""Golden bytes: what is on the wire between us and any kubelet."""

from xpu_shared.device import Device, Health
from xpu_shared.kubelet.messages import LARGEST_LIST, list_message
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

LIST = (
    "0a27 0a16 77712d757365722d7368617265642d7771322e312d30 1207 4865616c746879 1a04 0a02 0801"
    "0a1a 0a09 2f6465762f646c6233 1209 556e6865616c746879 1a02 0a00"
)
REGISTER = (
    "0a07 76316265746131 1215 646c622e696e74656c2e636f6d2d76662e736f636b1a10 646c622e696e74656c2e636f6d2f7666 2200"
)
ALLOCATE = "0a1c 1a1a 0a09 2f6465762f646c6233 1209 2f6465762f646c6233 1a02 7277"


def test_a_list_has_topology_also_for_numa_node_0() -> None:
    devices = [
        Device(id="wq-user-shared-wq2.1-0", numa_nodes=(1,)),
        Device(id="/dev/dlb3", numa_nodes=(0,), health=Health.UNHEALTHY),
    ]

    assert list_message(devices).SerializeToString() == bytes.fromhex(LIST)


def test_a_device_without_numa_nodes_has_no_topology_at_all() -> None:
    (device,) = list_message([Device(id="a")]).devices

    assert not device.HasField("topology")


def test_a_registration() -> None:
    request = pb.RegisterRequest(
        version="v1beta1",
        endpoint="dlb.intel.com-vf.sock",
        resource_name="dlb.intel.com/vf",
        options=pb.DevicePluginOptions(),
    )

    assert request.SerializeToString() == bytes.fromhex(REGISTER)


def test_container_path_comes_before_host_path() -> None:
    node = pb.DeviceSpec(container_path="/dev/dlb3", host_path="/dev/dlb3", permissions="rw")
    response = pb.AllocateResponse(container_responses=[pb.ContainerAllocateResponse(devices=[node])])

    assert response.SerializeToString() == bytes.fromhex(ALLOCATE)
    assert pb.Mount(container_path="c").SerializeToString() == b"\x0a\x01c"
    assert pb.Mount(host_path="h").SerializeToString() == b"\x12\x01h"


def test_the_methods_have_the_names_the_kubelet_calls() -> None:
    services = pb.DESCRIPTOR.services_by_name

    assert services["Registration"].full_name == "v1beta1.Registration"
    assert set(services["DevicePlugin"].methods_by_name) == {
        "GetDevicePluginOptions",
        "ListAndWatch",
        "GetPreferredAllocation",
        "Allocate",
        "PreStartContainer",
    }


def test_the_largest_list_stays_below_what_a_kubelet_receives() -> None:
    assert LARGEST_LIST < 4 * 1024 * 1024
