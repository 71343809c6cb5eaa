"""Does one thing to a simulated node: for a step of a scenario, or for a command from another terminal."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from xpu_shared.device import Allocation
from xpu_simulator.kubelet.pods import Pod
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.plugins import Plugins
from xpu_simulator.report import Report, ids_text
from xpu_simulator.scenario import Action, FaultOfGpu, FaultOfLink, RunPod
from xpu_simulator.simulated_node import SimulatedNode

PLUGINS_PATIENCE = 10.0  # seconds after a reboot
KUBELET_OUTCOMES = {"restart": "has restarted", "stop": "is stopped", "start": "is started"}


class Actions:
    """`lost_at_reboot` are files and directories that the node's `/run` would hold."""

    def __init__(
        self,
        node: SimulatedNode,
        kubelet: SimulatedKubelet,
        plugins: Plugins,
        report: Report,
        *,
        lost_at_reboot: Sequence[Path] = (),
    ) -> None:
        self._node = node
        self._kubelet = kubelet
        self._plugins = plugins
        self._report = report
        self._lost_at_reboot = lost_at_reboot

    async def act(self, action: Action) -> str:
        """Do it and report it; the answer says in one line what has become of it.

        Raises:
            ImpossibleError, AdmissionError
        """
        if action.device:
            return self._change_hardware(action)
        if action.run_pod:
            return await self._run_pod(action.run_pod)
        if action.delete_pod:
            return self._delete_pod(action.delete_pod)
        return await self._change_programs(action)

    async def _change_programs(self, action: Action) -> str:
        if action.kubelet:
            return await self._change_kubelet(action.kubelet)
        if action.fault_link:
            return self._fault_link(action.fault_link)
        if action.kill:
            await self._plugins.kill(action.kill)
            return f"{action.kill} was killed and is started again"
        if action.reboot:
            return await self._reboot()
        return ""

    async def admit(self, wanted: RunPod) -> Pod:
        """Run a pod and leave it to the caller to report how it went; AdmissionError."""
        return await self._kubelet.admit(wanted.name, wanted.resources)

    def given(self, pod: Pod) -> Iterator[str]:
        """What the container runtime is told, a line each."""
        return _given(pod.given, self._node.tree.root)

    async def _reboot(self) -> str:
        """Plugins come up with the kubelet; it admits the pods when what there was is listed again, or in vain."""
        resources = {name for name, resource in self._kubelet.resources.items() if resource.allocatable}
        resources |= {name for pod in self._kubelet.pods.values() for name in pod.devices}
        pods = len(self._kubelet.pods)

        def listed() -> bool:
            return all(self._kubelet.resources[name].capacity for name in resources)

        async def come_up() -> None:
            await self._plugins.start()
            with suppress(TimeoutError):
                await self._kubelet.wait_until(listed, timeout=PLUGINS_PATIENCE)

        await self._plugins.stop()
        await self._kubelet.reboot(wipe=self._lost_at_reboot, before_pods=come_up)
        running = sum(pod.running for pod in self._kubelet.pods.values())
        return f"the node has rebooted; {running} of {pods} pods run again"

    async def _run_pod(self, wanted: RunPod) -> str:
        pod = await self.admit(wanted)
        text = outcome(pod)
        self._report.event("pod", text)
        self._report.details(self.given(pod))
        return text if pod.running else f"{text}: {pod.message}"

    def _delete_pod(self, name: str) -> str:
        self._kubelet.delete(name)
        text = f"pod {name} is deleted, its devices are free"
        self._report.event("pod", text)
        return text

    def _change_hardware(self, action: Action) -> str:
        if action.fault:
            return self._fault(action.fault)
        if action.add:
            self._node.add(action.add)
            return self._hardware_changed("add", f"{action.add} is plugged in")
        if action.remove:
            self._node.remove(action.remove)
            return self._hardware_changed("remove", f"{action.remove} is pulled out")
        assert action.rebind
        device, driver = action.rebind.device, action.rebind.driver
        self._node.rebind(device, driver)
        return self._hardware_changed("rebind", f"{device} has driver {driver} now")

    def _hardware_changed(self, kind: str, text: str) -> str:
        deaf = [path.name for path in self._node.deaf]
        told = f"{text}; nobody took its events from {', '.join(deaf)}" if deaf else text
        self._report.event(kind, told)
        return told

    def _fault(self, wanted: FaultOfGpu) -> str:
        now = self._node.fault(wanted.gpu, wanted.fault, clear=wanted.clear)
        text = f"{wanted.gpu} {now.text}"
        self._report.event("fault", text)
        return text

    def _fault_link(self, wanted: FaultOfLink) -> str:
        a, b = wanted.between
        self._node.fault_link(a, b, wanted.state)
        text = f"link {a} {b} is {wanted.state}"
        self._report.event("fault", text)
        return text

    async def _change_kubelet(self, what: str) -> str:
        if what != "start":
            await self._kubelet.stop()
        if what != "stop":
            await self._kubelet.start()
        return f"the kubelet {KUBELET_OUTCOMES[what]}"


def outcome(pod: Pod) -> str:
    ids = " ".join(ids_text(ids) for ids in pod.devices.values())
    return f"pod {pod.name} {'runs' if pod.running else 'does not run'} with {ids}"


def _given(given: Allocation, root: Path) -> Iterator[str]:
    """What the container runtime is told; host paths below the simulated root are those of the node."""
    for node in given.nodes:
        yield f"device {_path(node.container_path, node.host_path, root)} {node.permissions}"
    for mount in given.mounts:
        yield f"mount  {_path(mount.container_path, mount.host_path, root)} {'ro' if mount.read_only else 'rw'}"
    yield from (f"env    {name}={value}" for name, value in given.envs.items())
    yield from (f"note   {name}={value}" for name, value in given.annotations.items())
    yield from (f"CDI    {name}" for name in given.cdi_names)


def _path(container_path: str, host_path: str, root: Path) -> str:
    same = host_path.removeprefix(str(root)) == container_path
    return container_path if same else f"{container_path} from {host_path}"
