"""What people are written about their payments. Pure."""

from datetime import datetime

from gesso.accounts.messages import Mail
from gesso.billing.words import day


def renewal_failed(*, brand: str, recipient: str, name: str, plan: str, until: datetime, url: str) -> Mail:
    """Word to those who pay that a renewal did not go through, while there is time."""
    return Mail(
        recipient=recipient,
        subject=f"Your {plan} plan at {brand} could not be renewed",
        greeting=f"Hello {name},",
        paragraphs=(
            "the payment for your next period did not go through.",
            f"You keep {plan} until {day(until)}. Give another payment method until then, and it goes on; after that "
            "your workspace goes on with the free plan. What you made stays.",
        ),
        action_label="Open Billing",
        action_url=url,
        footnote="You meant to stop? Then do nothing: it ends by itself.",
    )
