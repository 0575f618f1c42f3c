"""Errors named by what the reader must do next. They become HTTP in one place, `web.errors`.

    GessoError
    ├── InvalidInput       422  correct the named fields
    │   ├── Blocked        422  the content policy forbids it; ask for something else
    │   └── PlanLimit      422  the plan does not open it; choose otherwise, or a plan that does
    ├── NotSignedIn        401  sign in
    ├── OutOfCredits       402  get credits, or wait
    ├── PaymentFailed      402  pay in another way
    ├── Forbidden          403  ask someone who may
    │   └── Frozen         403  settle a disputed payment first
    ├── NotFound           404  it is not there, or not yours
    ├── Conflict           409  something else happened first; look again
    ├── TooLarge           413  send less
    ├── TooManyRequests    429  wait `retry_after` seconds
    └── Unavailable        503  not your fault; try again later

`detail` is a sentence for people. `fields` maps a field's name to what is wrong with it. Facts are
given as keywords and become members of the problem document (RFC 9457).
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class GessoError(Exception):
    """Base of every error a caller is meant to see."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, fields: Mapping[str, str] | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields: dict[str, str] = dict(fields or {})
        self.facts: dict[str, Any] = facts


class InvalidInput(GessoError):
    """The request cannot be carried out as it stands; `fields` says why."""

    status, code, title = 422, "invalid_input", "Please check what you entered"


class Blocked(InvalidInput):
    """The content policy forbids the request. Nothing was charged."""

    code, title = "content_policy", "This is not allowed here"


class PlanLimit(InvalidInput):
    """The workspace's plan does not open it. Facts: plan, opened_by (keys of plans; null: none opens it)."""

    code, title = "plan_limit", "Not part of your plan"


class NotSignedIn(GessoError):
    """No valid session or key came with the request."""

    status, code, title = 401, "not_signed_in", "Please sign in"


class PaymentFailed(GessoError):
    """A payment method was declined; nothing was changed."""

    status, code, title = 402, "payment_failed", "The payment did not go through"


class OutOfCredits(GessoError):
    """The balance does not cover the price. Facts: missing, price, balance, next_grant_at, ways."""

    status, code, title = 402, "out_of_credits", "Not enough left"


class Forbidden(GessoError):
    """Signed in, but not allowed."""

    status, code, title = 403, "forbidden", "You may not do this"


class Frozen(Forbidden):
    """The workspace can spend nothing until a disputed payment is settled."""

    code, title = "payment_disputed", "On hold until a payment is settled"


class NotFound(GessoError):
    """Absent, or someone else's: the answer is the same."""

    status, code, title = 404, "not_found", "Not found"


class Conflict(GessoError):
    """The state changed, or the same request is being worked on."""

    status, code, title = 409, "conflict", "This clashes with something else"


class TooLarge(GessoError):
    """More bytes than allowed."""

    status, code, title = 413, "too_large", "Too large"


class TooManyRequests(GessoError):
    """A limit was reached. Fact: retry_after, in seconds."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(GessoError):
    """Something we need is not answering."""

    status, code, title = 503, "unavailable", "Not available right now"
