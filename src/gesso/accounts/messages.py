"""What the product writes to people by mail. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mail:
    """One mail to one person. `action_url` holds a token when there is one: it is never logged."""

    recipient: str
    subject: str
    greeting: str
    paragraphs: tuple[str, ...]
    footnote: str
    action_label: str = ""
    action_url: str = ""


def reset_mail(*, brand: str, recipient: str, name: str, url: str, minutes: int) -> Mail:
    """The way to a new password."""
    return Mail(
        recipient=recipient,
        subject=f"Choose a new password for {brand}",
        greeting=f"Hello {name},",
        paragraphs=(
            "someone, most likely you, asked for a new password.",
            f"The link works once, for {minutes} minutes. Afterwards you are signed out everywhere else.",
        ),
        action_label="Choose a new password",
        action_url=url,
        footnote="It was not you? Then ignore this mail: your password stays as it is.",
    )


def verify_mail(*, brand: str, recipient: str, name: str, url: str, hours: int) -> Mail:
    """Proof that the person reads mail at this address."""
    return Mail(
        recipient=recipient,
        subject=f"Confirm your e-mail address for {brand}",
        greeting=f"Hello {name},",
        paragraphs=(f"please confirm that this address is yours. The link works for {hours} hours.",),
        action_label="Confirm the address",
        action_url=url,
        footnote="You do not know what this is about? Then ignore this mail and nothing happens.",
    )


def changed_mail(*, brand: str, recipient: str, name: str, what: str) -> Mail:
    """Word to the owner that something that matters was changed. `what`: "password", "e-mail address"."""
    return Mail(
        recipient=recipient,
        subject=f"Your {what} for {brand} was changed",
        greeting=f"Hello {name},",
        paragraphs=(f"the {what} of your account was changed just now.",),
        footnote="It was not you? Reset your password at once and write to the people who run this site.",
    )
