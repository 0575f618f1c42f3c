"""What the signed-in frame around a page needs to know, and the one fragment it refreshes by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response

from gesso.core.errors import NotSignedIn
from gesso.web.render import credits_text, credits_words, fragment, initials
from gesso.web.wording import unit_words


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the rail, on the phone's tab bar, and in the command palette.

    `icon` is a Lucide name known to the build. `tab` says that it belongs to the phone's tab bar.
    `section` is the path prefix that marks it as current; `href` when left out. `exact`: what lies under it is not it.
    `also`: another page that belongs to it.
    """

    label: str
    href: str
    icon: str
    tab: bool = True
    section: str | None = None
    exact: bool = False
    also: str | None = None

    def current(self, path: str) -> bool:
        """Whether `path` is this page or lies under it."""
        prefix = self.section or self.href
        return path in (prefix, self.also) or (not self.exact and path.startswith(prefix.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame for one signed-in person: who, where, how many credits, which pages.

    `balance_micro` is in microcredits, `allowances` are uses left by unit; `low` says that they are not enough for the
    next usual request. `counted`: the unit that is named when nothing is left.
    """

    user_name: str
    user_email: str
    workspace_name: str
    balance_micro: int
    low: bool
    is_operator: bool
    nav: Sequence[NavItem]
    allowances: Mapping[str, int] = field(default_factory=dict)
    counted: str = "credit"

    @property
    def left(self) -> str:
        """What can be used now, in words: "100 images", "3 images · 50 tokens", "12 credits"."""
        parts = [unit_words(unit, uses) for unit, uses in self.allowances.items() if uses]
        if not parts and not self.balance_micro and self.counted != "credit":
            return unit_words(self.counted, 0)
        return " · ".join([*parts, credits_words(self.balance_micro)] if self.balance_micro or not parts else parts)

    @property
    def left_short(self) -> str:
        """The same as it stands in the frame: what is there most of the time counts, and a bare figure is credits."""
        if self.balance_micro:
            return credits_text(self.balance_micro)
        uses = next((unit_words(unit, uses) for unit, uses in self.allowances.items() if uses), "")
        return uses or (credits_text(0) if self.counted == "credit" else unit_words(self.counted, 0))

    @property
    def initials(self) -> str:
        """One or two letters for the avatar."""
        return initials(self.user_name or self.user_email)


router = APIRouter(include_in_schema=False)


@router.get("/shell/credits")
async def credits_pill(request: Request) -> Response:
    """The credit pill as it is now; pages fetch it when `gesso:credits` says that it changed."""
    shell: Shell | None = await request.app.state.shell(request)
    if shell is None:
        raise NotSignedIn("Sign in to see what you have.")
    return fragment(request, "_credits.html", shell=shell)
