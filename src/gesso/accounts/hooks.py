"""What other rooms do when something happens to an account. `app` and `worker` fill the lists."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from gesso.db import WorkspaceSession

SignUpHook = Callable[[WorkspaceSession, UUID, UUID], Awaitable[None]]
"""Called with the session, the new workspace's id and the new user's id."""


@dataclass
class AccountHooks:
    """Held as `app.state.account_hooks`."""

    default_plan: Callable[[], str]
    """The key of the plan a new workspace starts on, from the catalogue as it is now."""
    on_sign_up: list[SignUpHook] = field(default_factory=list)
    """Run in the sign-up's own transaction, in the new workspace's scope: all of it happens or nothing."""
