"""The face's section of the sandbox's front page."""

from gesso.sandbox.html import table
from gesso.sandbox.stripe.cards import BANKS, CARDS
from gesso.sandbox.stripe.control import CALLS

_PAGE = """<h2>Stripe, under <code>/stripe</code></h2>
<p><code>StripeClient(key, base_addresses={{"api": "&lt;this address&gt;/stripe"}})</code>. Any <code>sk_…</code> key
is an account of its own, except one that ends in <code>wrong</code>. Version 2026-10-28.endive. Checkout, the
customer portal and invoices are pages; what happens by itself happens by the wall clock, or by a test clock.</p>
<p>Events go to every <code>/v1/webhook_endpoints</code>, and to the one set by
<code>GESSO_SANDBOX_STRIPE_WEBHOOK_URL</code> and <code>GESSO_SANDBOX_STRIPE_WEBHOOK_SECRET</code> or by a control
call.</p>
<p>Cards, with any later date and any three digits:</p>{cards}
<p>Bank debits on one-time checkouts:</p>{banks}
<p>Control calls, under <code>/stripe/_control/</code>, with the secret key as bearer and JSON:</p>{calls}
"""


def page() -> str:
    """As HTML."""
    return _PAGE.format(
        cards=table([(card.number, f"{card.effect} ({card.alias})") for card in CARDS]),
        banks=table(list(BANKS.items())),
        calls=table(list(CALLS.items())),
    )
