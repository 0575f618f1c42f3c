"""What the OpenAI routes share: one tally of faults, one file store, video jobs, the bill, the studio."""

from gesso.sandbox.clocked import ClockedJobs
from gesso.sandbox.face import Ground, ProviderFace
from gesso.sandbox.files import FileStore
from gesso.sandbox.films import Films


class OpenAIFace(ProviderFace):
    """State of the OpenAI face."""

    prefix = "/openai"
    name = "openai"

    def __init__(self, ground: Ground, about: str) -> None:
        super().__init__(ground, about)
        self.files = FileStore(ground.archive)
        self.videos = ClockedJobs(ground.archive, self.name)
        self.films = Films(ground.studio, self.files)
