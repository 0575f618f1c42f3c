"""What can go wrong with an account, beside `core.errors`."""

from gesso.core.errors import Conflict, NotSignedIn


class WrongCredentials(NotSignedIn):
    """E-mail and password do not match, or nobody has the address: the answer is the same.

    Fact: tries_left, before this address has to wait.
    """

    code, title = "wrong_credentials", "That e-mail and password do not match"


class EmailTaken(Conflict):
    """The address has an account already."""

    code, title = "email_taken", "This address has an account"

    def __init__(self) -> None:
        super().__init__(
            "This e-mail address already has an account. Sign in, or reset the password.",
            fields={"email": "This address already has an account."},
        )
