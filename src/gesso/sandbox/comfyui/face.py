"""What the ComfyUI routes share: a box as it is today, one as it was a year ago, one tally of faults."""

from dataclasses import dataclass

from gesso.sandbox.comfyui.box import FACE, Box
from gesso.sandbox.comfyui.making import Maker, Shelf
from gesso.sandbox.face import Ground, ProviderFace
from gesso.sandbox.files import FileStore


@dataclass(frozen=True)
class Machine:
    """A box with its folders. `old`: as in version 0.3.64, without what came later."""

    box: Box
    shelf: Shelf
    old: bool

    @property
    def version(self) -> str:
        return "0.3.64" if self.old else "0.38.1"


class ComfyFace(ProviderFace):
    """State of the ComfyUI face."""

    prefix = "/comfyui"
    name = FACE

    def __init__(self, ground: Ground, about: str) -> None:
        super().__init__(ground, about)
        store = FileStore(ground.archive)
        self.machines = {name: _machine(ground, store, name) for name in ("new", "old")}

    def resume(self) -> None:
        """What ComfyUI does after a restart: it remembers nothing."""
        for machine in self.machines.values():
            machine.box.forget()

    async def close(self) -> None:
        """End what is under way."""
        for machine in self.machines.values():
            await machine.box.close()


def _machine(ground: Ground, store: FileStore, name: str) -> Machine:
    shelf = Shelf(store, name)
    return Machine(Box(ground, name, Maker(ground, shelf)), shelf, name == "old")
