"""The inventory as a state machine: whatever comes, goes, is held and freed, in any order, at any time."""

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from xpu_shared.device import Device, Health
from xpu_shared.inventory import Inventory, Snapshot, merge, next_expiry

IDS = tuple(f"card{number}" for number in (0, 1, 2, 9, 10))
RETENTION = 10.0  # seconds


class InventoryMachine(RuleBasedStateMachine):
    """The model: which ids are there, since when others are gone, and which are held."""

    def __init__(self) -> None:
        super().__init__()
        self.inventory = Inventory()
        self.now = 0.0
        self.there: dict[str, Health] = {}
        self.held: set[str] = set()
        self.gone: dict[str, float] = {}
        self.told: list[int] = []  # versions at each call of the listener
        self.listening = self.inventory.listening("x", lambda: self.told.append(self.snapshot.version))
        self.listening.__enter__()

    @property
    def snapshot(self) -> Snapshot:
        return self.inventory.snapshot("x")

    @rule(id_=st.sampled_from(IDS), health=st.sampled_from(Health))
    def comes_or_changes(self, id_: str, health: Health) -> None:
        self.there[id_] = health

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def goes(self, data: st.DataObject) -> None:
        del self.there[data.draw(st.sampled_from(sorted(self.there)))]

    @rule(id_=st.sampled_from(IDS))
    def is_held(self, id_: str) -> None:
        self.held.add(id_)

    @rule(id_=st.sampled_from(IDS))
    def is_freed(self, id_: str) -> None:
        self.held.discard(id_)

    @rule(seconds=st.sampled_from((0.0, 0.5, 4.0, 9.9, 10.0, 25.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def scan(self) -> None:
        before = self.snapshot
        calls = len(self.told)
        found = [Device(id=id_, health=health) for id_, health in self.there.items()]
        after = merge(before, found, retention=RETENTION, now=self.now, held=self.held)
        self.inventory.publish("x", after)

        missing = ({*before.devices} | self.held) - self.there.keys()
        since = {id_: self.gone.get(id_, self.now) for id_ in missing}
        self.gone = {id_: then for id_, then in since.items() if self.now - then < RETENTION or id_ in self.held}
        assert dict(after.gone_since) == self.gone
        assert {id_: device.health for id_, device in after.devices.items()} == {
            **self.there,
            **dict.fromkeys(self.gone, Health.UNHEALTHY),
        }
        changed = [(one.id, one.health) for one in after.devices.values()] != [
            (one.id, one.health) for one in before.devices.values()
        ]
        assert after.version == before.version + (changed or before.version == 0)
        assert len(self.told) - calls == (after.version != before.version)
        running_out = [then for id_, then in self.gone.items() if id_ not in self.held]
        expected = min(running_out) + RETENTION if running_out else None
        assert next_expiry(after, retention=RETENTION, held=self.held) == expected

    @invariant()
    def the_order_is_by_number(self) -> None:
        assert list(self.snapshot.devices) == [id_ for id_ in IDS if id_ in self.snapshot.devices]

    def teardown(self) -> None:
        self.listening.__exit__(None, None, None)


TestInventory = InventoryMachine.TestCase
