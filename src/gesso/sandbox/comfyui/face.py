"""What the ComfyUI routes share: a box as it is today, one as it was a year ago, one tally of faults."""

from dataclasses import dataclass

from starlette.routing import BaseRoute

from gesso.sandbox.comfyui.box import Box
from gesso.sandbox.comfyui.making import Maker, Shelf
from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Tally
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


class ComfyFace:
    """State of the ComfyUI face, and what the sandbox asks of every face."""

    prefix = "/comfyui"

    def __init__(self, ground: Ground, about: str) -> None:
        self.about = about
        self.routes: list[BaseRoute] = []
        self.pace = ground.pace
        self.tally = Tally()
        store = FileStore(ground.archive)
        self.machines = {name: _machine(ground, store, name) for name in ("new", "old")}

    def resume(self) -> None:
        """What ComfyUI does after a restart: it remembers nothing."""
        for machine in self.machines.values():
            machine.box.forget()

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        """End what is under way."""
        for machine in self.machines.values():
            await machine.box.close()


def _machine(ground: Ground, store: FileStore, name: str) -> Machine:
    shelf = Shelf(store, name)
    return Machine(Box(ground, name, Maker(ground, shelf)), shelf, name == "old")
