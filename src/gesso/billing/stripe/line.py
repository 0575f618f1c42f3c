"""One account at Stripe, through Stripe's own SDK: in threads, with a version and idempotency keys of our choice.

The SDK takes a second and 25 MB to import: only a process that talks to Stripe does so, on its first call.
"""

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import structlog

from gesso.core.errors import Conflict, Forbidden, GessoError, NotFound, PaymentFailed, Unavailable

log = structlog.get_logger()

VERSION = "2026-10-28.endive"
TIMEOUT_SECONDS = 10
RETRIES = 1
"""Of the SDK itself, under the same idempotency key."""
TOLERANCE_SECONDS = 300
"""How old the signature of a notice may be."""

Obj = dict[str, Any]


@dataclass(frozen=True)
class Access:
    """How the account is reached. Without `webhook_secret` no notice is taken."""

    secret_key: str = field(repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    base_url: str | None = None


class CustomerGone(Conflict):
    """Stripe does not know the customer any more: another account's, or deleted there."""


class Line:
    """Calls of the SDK by the name it gives them: `call("checkout.sessions.create", params={…})`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def can_verify(self) -> bool:
        """Whether there is a secret to check notices by."""
        return bool(self._access.webhook_secret)

    @cached_property
    def _client(self) -> Any:
        import stripe

        stripe.enable_telemetry = False
        base = {"base_addresses": {"api": self._access.base_url}} if self._access.base_url else {}
        return stripe.StripeClient(
            self._access.secret_key, stripe_version=VERSION, max_network_retries=RETRIES,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS), **base,  # type: ignore[arg-type]
        )  # fmt: skip

    async def call(self, name: str, *ids: str, params: Obj | None = None, key: str | None = None) -> Obj:
        """The answer as plain values. `key`: the same one sent twice is done once.

        Raises PaymentFailed when a card was declined, CustomerGone, NotFound, Conflict for a request that clashes with
        another one, Unavailable for all else.
        """
        return await asyncio.to_thread(self._call, name, ids, params or {}, key)

    def _call(self, name: str, ids: tuple[str, ...], params: Obj, key: str | None) -> Obj:
        import stripe

        method: Any = self._client.v1
        for part in name.split("."):
            method = getattr(method, part)
        options = {"idempotency_key": key} if key else {}
        try:
            answer: Obj = method(*ids, params=params, options=options).to_dict()
            return answer
        except stripe.StripeError as error:
            raise _ours(error, name) from None

    async def verify(self, body: bytes, header: str) -> None:
        """Raises NotFound while there is no secret to check by, Forbidden for what Stripe has not signed lately."""
        secret = self._access.webhook_secret
        if not secret:
            log.warning("payments.webhook_closed", hint="Set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret.")
            raise NotFound("There is nothing at this address.")
        await asyncio.to_thread(_verify, body, header, secret)


def _verify(body: bytes, header: str, secret: str) -> None:
    import stripe

    try:
        stripe.WebhookSignature.verify_header(body.decode(), header, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, ValueError) as error:
        log.warning("payments.webhook_rejected", reason=str(error).partition(" for payload")[0][:200])
        raise Forbidden("This notice cannot be trusted.") from None


def _ours(error: Any, name: str) -> GessoError:
    """An error of the SDK in our words. Its own message may name ids and parameters: it goes to the log only."""
    import stripe

    facts = {"call": name, "status": error.http_status, "code": error.code, "request": error.request_id}
    if isinstance(error, stripe.CardError):
        log.info("payments.declined", **facts)
        return PaymentFailed(f"{error.user_message or 'The payment method was declined.'} Nothing was changed.")
    if error.code == "resource_missing":
        log.warning("payments.missing", param=error.param, **facts)
        if error.param == "customer":
            return CustomerGone("The payment provider does not know this customer any more.")
        return NotFound("The payment provider does not know this any more.")
    if isinstance(error, stripe.IdempotencyError) or error.http_status == 409:
        log.warning("payments.clash", **facts)
        return Conflict("The same request is being worked on, or was sent with another content. Try again.")
    log.error("payments.refused" if error.http_status else "payments.unreachable", message=error.user_message, **facts)
    return Unavailable("The payment provider does not answer as it should. Nothing was charged. Try again later.")
