"""E-mail addresses: one spelling for each. Pure."""

import email_validator
from email_validator import EmailNotValidError, validate_email

MAX_LENGTH = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets

# A private network may end in these; the library documents its list as ours to change.
for _private in ("local", "localhost"):
    if _private in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_private)


def normalise_email(value: str) -> str | None:
    """The address as we keep it, or None when it is not one.

    Lower case throughout: nobody runs a mail server that tells Ada from ada, and two accounts that differ in
    case only are a trap. Addresses inside a private network (`ada@intranet`, `ada@box.test`) are allowed; a
    site may live in one.
    """
    value = value.strip()
    if not value or len(value) > MAX_LENGTH or not value.isprintable():
        return None
    try:
        found = validate_email(value, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except EmailNotValidError:
        return None
    # Lowering can change what normalising sees (a dotted capital I): go round until nothing changes.
    lowered = found.normalized.lower()
    return lowered if lowered == found.normalized else normalise_email(lowered)
