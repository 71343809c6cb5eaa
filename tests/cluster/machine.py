"""The cluster as its administrator sees it, the plugin as a process, and the parts of the machine that tests kill."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xpu_simulator.device import uevents
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree
from xpu_simulator.uevents import UeventSender

RESOURCE = "gpu.intel.com/i915"
SOCKETS = Path("/var/lib/kubelet/device-plugins")
CDI = Path("/var/run/cdi")


def wait_until(ready: Callable[[], bool], what: Callable[[], str], *, seconds: float) -> float:
    """Look again and again, because a cluster has nothing to wait on; returns the seconds it took."""
    started = time.monotonic()
    while not ready():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what()}")
        time.sleep(0.05)
    return time.monotonic() - started


class Cluster:
    def __init__(self) -> None:
        self.program = Path(os.environ["KUBEBUILDER_ASSETS"]) / "kubectl"
        self.node: str = self.get("nodes")["items"][0]["metadata"]["name"]
        self._kubelet = shlex.split(os.environ["XPU_TEST_KUBELET"])

    def kubectl(self, *arguments: str, document: object = None) -> str:
        done = subprocess.run(
            [self.program, *arguments],
            check=False,
            input=json.dumps(document) if document is not None else None,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *what: str) -> Any:
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    @contextmanager
    def following(self, *what: str) -> Iterator[list[Any]]:
        """Every state of these objects, in order; the list is filled at the context's end."""
        seen: list[Any] = []
        command: list[str | Path] = [self.program, "get", *what, "--watch", "-o", "json"]
        with tempfile.TemporaryFile("w+") as file:
            process = subprocess.Popen(command, stdout=file)
            try:
                yield seen
            finally:
                process.terminate()
                process.wait()
                file.seek(0)
                seen += _documents(file.read())

    def kubelet(self, verb: str) -> None:
        """Have the kubelet `restart`, `stop` or `start`."""
        subprocess.run([*self._kubelet, verb], check=True, capture_output=True, timeout=120)

    def gpus(self, resource: str = RESOURCE) -> tuple[int, int]:
        """The node's capacity and allocatable."""
        status = self.get("node", self.node)["status"]
        return int(status["capacity"].get(resource, 0)), int(status["allocatable"].get(resource, 0))

    def wait_for_gpus(self, *, capacity: int, allocatable: int, seconds: float = 30, resource: str = RESOURCE) -> float:
        wanted = (capacity, allocatable)
        return wait_until(
            lambda: self.gpus(resource) == wanted,
            lambda: f"capacity, allocatable {wanted}, but {self.gpus(resource)}",
            seconds=seconds,
        )

    def wait_for_gpus_gone(self) -> None:
        """Until none can be allocated; their number stays in the capacity until the kubelet starts again."""
        wait_until(lambda: self.gpus()[1] == 0, lambda: f"allocatable 0, but {self.gpus()}", seconds=30)

    def last_wrong_count(self, *, capacity: int, allocatable: int, watched_seconds: float) -> float:
        """Watch the node's counts and return when they were last wrong, in seconds from now; 0 when they never were."""
        started = now = time.monotonic()
        last = 0.0
        while now < started + watched_seconds:
            counts = self.gpus()
            now = time.monotonic()
            if counts != (capacity, allocatable):
                last = now - started
            time.sleep(0.05)
        return last

    def run_pod(self, name: str, gpus: int, script: str = "sleep 100000", resource: str = RESOURCE) -> None:
        container = {
            "name": "main",
            "image": "localhost/busybox",
            "imagePullPolicy": "Never",
            "command": ["sh", "-c", script],
            "resources": {"limits": {resource: gpus}},
        }
        spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
        metadata = {"name": name, "labels": {"test": "xpu"}}
        self.kubectl(
            "apply", "-f", "-", document={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )

    def pod(self, name: str) -> Mapping[str, Any]:
        pod: Mapping[str, Any] = self.get("pod", name)
        return pod

    def wait_for_phase(self, name: str, phase: str, seconds: float = 60) -> None:
        wait_until(
            lambda: self.pod(name)["status"].get("phase") == phase,
            lambda: f"pod {name} {phase}, but {self.pod(name)['status']}",
            seconds=seconds,
        )

    def wait_for_log(self, pod: str, text: str, seconds: float = 20) -> None:
        """Until a line of the pod's log has `text` in it."""
        wait_until(
            lambda: text in self.kubectl("logs", pod),
            lambda: f"{text!r} in the log of {pod}, but {self.kubectl('logs', pod)!r}",
            seconds=seconds,
        )

    def delete_pod(self, name: str) -> None:
        self.kubectl("delete", "pod", name, "--grace-period=0", "--force", "--wait=true")

    def clear(self) -> None:
        """Delete what tests have left behind."""
        self.kubectl("delete", "daemonsets,configmaps", "-l", "test=xpu", "--wait=true", "--cascade=foreground")
        self.kubectl("delete", "pods", "-l", "test=xpu", "--grace-period=0", "--force", "--wait=true")
        wait_until(lambda: not self.holders(), lambda: f"no pod holds a device, but {self.holders()}", seconds=60)

    def holders(self, resource: str = RESOURCE) -> dict[str, set[str]]:
        """Ids by pod, as the kubelet's pod-resources API tells; nothing while the kubelet is down."""
        import grpc

        from xpu_wire.podresources_v1_pb2 import ListPodResourcesRequest
        from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerStub

        with grpc.insecure_channel("unix:/var/lib/kubelet/pod-resources/kubelet.sock") as channel:
            answer = PodResourcesListerStub(channel).List(ListPodResourcesRequest(), timeout=10, wait_for_ready=True)
        held = {
            pod.name: {
                id_
                for container in pod.containers
                for devices in container.devices
                if devices.resource_name == resource
                for id_ in devices.device_ids
            }
            for pod in answer.pod_resources
        }
        return {pod: ids for pod, ids in held.items() if ids}


def _documents(text: str) -> Iterator[Any]:
    """JSON documents one after the other; the last one may have been cut off."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        try:
            document, end = decoder.raw_decode(text)
        except ValueError:
            return
        yield document
        text = text[end:]


class PluginProcess:
    """`xpu-gpu-plugin` at the real kubelet, with a simulated tree for hardware."""

    def __init__(self, tree: SimulatedTree) -> None:
        self.tree = tree
        self.log = tree.root / "plugin.log"
        self._sender = UeventSender(tree.root / "uevents")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        program = Path(sys.executable).with_name("xpu-gpu-plugin")
        roots = (f"--sysfs-root={self.tree.sysfs}", f"--dev-root={self.tree.dev}", f"--host-dev-root={self.tree.dev}")
        with self.returns(), self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, *roots, f"--uevent-socket={self.tree.root / 'uevents'}", *flags], stderr=log
            )

    @contextmanager
    def returns(self) -> Iterator[None]:
        """What happens inside makes the plugin register; at its end it has."""
        before = self._registrations()
        yield
        wait_until(lambda: self._registrations() > before, self.log.read_text, seconds=40)

    def _registrations(self) -> int:
        return self.log.read_text().count("registered with the kubelet") if self.log.exists() else 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(10) == 0
            self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def remove(self, gpu: Gpu) -> None:
        self.tree.remove_gpu(gpu)
        self._sender.send(uevents(gpu, "remove"))

    def add(self, gpu: Gpu) -> None:
        self.tree.add_gpu(gpu)
        self._sender.send(uevents(gpu, "add"))


def restart_containerd() -> None:
    """Kill containerd and start it as it was; the containers go on meanwhile."""
    (process,) = [path for path in Path("/proc").glob("[0-9]*") if _name(path) == "containerd"]
    command = [part.decode() for part in (process / "cmdline").read_bytes().split(b"\0")[:-1]]
    entries = (process / "environ").read_bytes().split(b"\0")[:-1]
    environment = dict(entry.decode().split("=", 1) for entry in entries)
    pid_files = [file for file in _state().glob("*.pid") if file.read_text() == process.name]
    os.kill(int(process.name), signal.SIGKILL)
    wait_until(lambda: not process.exists() or _name(process) == "", lambda: "containerd is gone", seconds=10)
    log = os.open(_state() / "containerd.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    files = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    again = os.posix_spawn(command[0], command, environment, file_actions=files, setsid=True)  # it outlives the tests
    os.close(log)
    for file in pid_files:  # so that whoever started it also finds the new one
        file.write_text(str(again))


def _state() -> Path:
    return Path(os.environ["KUBECONFIG"]).parent


def _name(process: Path) -> str:
    """A live process's name."""
    try:
        zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return "" if zombie else (process / "comm").read_text().strip()
    except OSError:
        return ""


def wipe_as_a_reboot_does(paths: Sequence[Path]) -> None:
    """Remove what lives on a tmpfs or is wiped at boot: plugin sockets and CDI files."""
    for directory in paths:
        for path in directory.glob("*"):
            if path.is_socket() or path.suffix == ".yaml":
                path.unlink()
