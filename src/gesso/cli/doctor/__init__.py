"""`gesso doctor`: looks at each part and says what is wrong and the way out."""

from gesso.cli.doctor.command import doctor

__all__ = ["doctor"]
