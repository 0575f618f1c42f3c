"""What the Gemini routes share: one tally of faults, the bill, the studio."""

from gesso.sandbox.face import ProviderFace


class GeminiFace(ProviderFace):
    """State of the Gemini face. Answers come at once: no job outlives one."""

    prefix = "/gemini"
    name = "gemini"
