"""Whether a request may run on its person's own key: after allowances and credits, if they switched that on.

All or nothing: a request is paid for by the workspace, or runs on the own key altogether.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gesso.catalog.items import Connection, Plan
from gesso.catalog.own_keys import repository
from gesso.catalog.own_keys.models import OwnKeys, takes_own_keys
from gesso.core.money import OutputAsk
from gesso.db import WorkspaceSession

PAGE = "/settings/provider-keys"
State = Literal["ready", "off", "refused", "absent"]
_NEAREST: tuple[State, ...] = ("ready", "off", "refused", "absent")


@dataclass(frozen=True, slots=True)
class Choice:
    """How near somebody is to going on with a key of their own for `provider` (its name here).

    `ready`: it can be used now · `off`: there is one, and the person did not switch its use on · `refused`: it rests ·
    `absent`: they have none.
    """

    provider: str
    state: State

    @property
    def ready(self) -> bool:
        return self.state == "ready"

    @property
    def words(self) -> str:
        """What to do, to stand in a link or after "You can"."""
        if self.state == "off":
            return f"switch on the use of your own {self.provider} key"
        if self.state == "refused":
            return f"look at your own {self.provider} key, which was refused"
        return f"add a {self.provider} key of your own"

    @property
    def fact(self) -> dict[str, Any]:
        """As one of the `ways` of a refusal."""
        return {"way": "own_key", "provider": self.provider, "state": self.state, "url": PAGE}


async def choice(tx: WorkspaceSession, plan: Plan, connections: Sequence[Connection]) -> Choice | None:
    """What the person's own keys can do for a call that may go through any of these connections, the nearest of them.

    None where the plan has no own keys, or none of the connections takes one. Asks the database only otherwise.
    """
    takers = [one for one in connections if one.enabled and takes_own_keys(one)] if plan.own_keys else []
    if not takers:
        return None
    keys = await repository.mine(tx)
    found = [Choice(connection.name, state_of(keys, connection)) for connection in takers]
    return min(found, key=lambda one: _NEAREST.index(one.state))


def state_of(keys: OwnKeys, connection: Connection) -> State:
    """How it stands with one connection that takes own keys. Pure."""
    key = keys.key_for(connection)
    if key is None:
        return "absent"
    if key.refused is not None:
        return "refused"
    return "ready" if keys.switched_on else "off"


def unpaid(asks: Sequence[OutputAsk]) -> tuple[OutputAsk, ...]:
    """The same outputs for nothing: what is held for a request that runs on an own key."""
    return tuple(OutputAsk(0) for _ in asks)
