"""Running a workflow: painting and filming what its output nodes would save."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gesso.sandbox.comfyui.reading import Crash, Reader, Scene
from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import KEEP_SECONDS, FileStore, StoredFile
from gesso.sandbox.painter.film import MAX_SECONDS, MAX_SIDE_PX
from gesso.sandbox.studio import BadReference, FilmOrder, Order

_OOM = "torch.OutOfMemoryError"
_OOM_WORDS = (
    "Allocation on device\n\nThis error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked "
    "before you might have accidentally set the batch_size to a large number."
)
_LARGEST_AREA = 4096 * 4096


class Shelf:
    """The box's folders. Names as `folder/subfolder/file`."""

    def __init__(self, store: FileStore, box: str) -> None:
        self._store, self._box = store, box
        self._counts: Counter[str] = Counter()

    def put(
        self, folder: str, name: str, data: bytes, media_type: str, *, words: str = "", faults: Faults | None = None
    ) -> None:
        """Keep a file; one of the same name is replaced."""
        until = time.monotonic() + KEEP_SECONDS
        self._store.put(self._key(folder, name), StoredFile(data, media_type, until, words, faults or Faults()))

    def get(self, folder: str, name: str) -> StoredFile | None:
        """A file, unless it is not there (any more)."""
        return self._store.get(self._key(folder, name))

    def numbered(self, folder: str, prefix: str, ending: str) -> str:
        """The next name for files that begin so."""
        self._counts[f"{folder}/{prefix}"] += 1
        return f"{prefix}_{self._counts[f'{folder}/{prefix}']:05}_.{ending}"

    def _key(self, folder: str, name: str) -> str:
        return f"comfyui-{self._box}/{folder}/{name.strip('/')}"


class Maker:
    """Makes what output nodes save."""

    def __init__(self, ground: Ground, shelf: Shelf) -> None:
        self._pace, self._studio, self._shelf = ground.pace, ground.studio, shelf

    async def make(
        self, workflow: dict[str, Any], outputs: Sequence[str], faults: Faults, words: str
    ) -> dict[str, Any]:
        """What the history tells of each output node. Raises Crash."""
        await asyncio.sleep(self._pace.queue_seconds)
        if slow := faults.get("slow"):
            await asyncio.sleep(slow.number(10))
        if fail := faults.get("fail"):
            kind, told = (_OOM, _OOM_WORDS) if fail.argument == "oom" else ("RuntimeError", "CUDA error: unknown error")
            raise Crash(self.sampler_of(workflow, outputs), kind, told)
        reader = Reader(workflow)
        return {node: await self._output(reader, node, faults, words) for node in outputs}

    def sampler_of(self, workflow: dict[str, Any], outputs: Sequence[str]) -> str:
        """The node that does the work for the first output, as far as there is one."""
        try:
            return self._scene(Reader(workflow), outputs[0]).sampler or outputs[0]
        except Crash:
            return outputs[0]

    def _scene(self, reader: Reader, node: str) -> Scene:
        inputs = reader.inputs(node)
        if reader.kind(node) == "SaveVideo":
            inputs = reader.inputs(str(inputs["video"][0]))
        return reader.pictures(inputs["images"])

    async def _output(self, reader: Reader, node: str, faults: Faults, words: str) -> dict[str, Any]:
        kind, inputs, scene = reader.kind(node), reader.inputs(node), self._scene(reader, node)
        if kind == "SaveVideo":
            fps = reader.inputs(str(inputs["video"][0]))["fps"]
            saved = await self._film(node, scene, fps, inputs["filename_prefix"], "output", faults, words)
            return {"images": [saved], "animated": [True]}
        if kind == "VHS_VideoCombine":
            folder, fps = "output" if inputs["save_output"] else "temp", inputs["frame_rate"]
            saved = await self._film(node, scene, fps, inputs["filename_prefix"], folder, faults, words)
            more = {"format": "video/h264-mp4", "frame_rate": fps, "fullpath": f"/comfyui/{folder}/{saved['filename']}"}
            return {"gifs": [saved | more]}
        folder = "temp" if kind == "PreviewImage" else "output"
        prefix = inputs.get("filename_prefix") or f"ComfyUI_temp_{secrets.token_hex(3)}"
        return {"images": await self._paint(node, scene, prefix, folder, faults, words)}

    async def _paint(
        self, node: str, scene: Scene, prefix: str, folder: str, faults: Faults, words: str
    ) -> list[dict[str, str]]:
        pictures = [self._loaded(*picture) for picture in scene.pictures]
        count = scene.batch
        if fewer := faults.get("fewer"):
            count = max(0, count - int(fewer.number(1)))
        saved = []
        for number in range(count):
            try:
                width, height = await self._size(scene, pictures)
                order = Order(scene.prompt, scene.seed + number, width, height, "png", tuple(pictures))
                data, _ = await asyncio.gather(
                    self._studio.paint(order), asyncio.sleep(self._pace.paint_seconds() if scene.sampler else 0)
                )
            except BadReference:
                raise _unreadable(scene) from None
            saved.append(self._save(prefix, folder, "png", data, "image/png", faults, words))
        return saved

    async def _film(
        self, node: str, scene: Scene, fps: float, prefix: str, folder: str, faults: Faults, words: str
    ) -> dict[str, str]:
        pictures = [self._loaded(*picture) for picture in scene.pictures]
        try:
            width, height = await self._size(scene, pictures)
            width, height = (min(side, MAX_SIDE_PX) // 2 * 2 for side in (width, height))
            rate = max(1, round(fps))
            seconds = min(max(scene.frames / rate, 2 / rate), MAX_SECONDS)
            order = FilmOrder(
                scene.prompt, scene.seed, width, height, seconds, fps=rate, picture=pictures[0] if pictures else None
            )
            data, _ = await asyncio.gather(self._studio.film(order), asyncio.sleep(self._pace.paint_seconds()))
        except BadReference:
            raise _unreadable(scene) from None
        return self._save(prefix, folder, "mp4", data, "video/mp4", faults, words)

    async def _size(self, scene: Scene, pictures: Sequence[bytes]) -> tuple[int, int]:
        width, height = scene.width, scene.height
        if width is None or height is None:
            width, height = await self._studio.measure(pictures[0])
        if width * height > _LARGEST_AREA:
            raise Crash(scene.sampler or scene.pictures[0][0], _OOM, _OOM_WORDS)
        return width, height

    def _loaded(self, node: str, name: str) -> bytes:
        stored = self._shelf.get("input", name)
        if stored is None:
            raise Crash(node, "FileNotFoundError", f"[Errno 2] No such file or directory: 'input/{name}'")
        return stored.data

    def _save(
        self, prefix: str, folder: str, ending: str, data: bytes, media_type: str, faults: Faults, words: str
    ) -> dict[str, str]:
        name = self._shelf.numbered(folder, prefix.strip("/"), ending)
        self._shelf.put(folder, name, data, media_type, words=words, faults=faults)
        subfolder, _, filename = name.rpartition("/")
        return {"filename": filename, "subfolder": subfolder, "type": folder}


def _unreadable(scene: Scene) -> Crash:
    return Crash(scene.pictures[0][0], "PIL.UnidentifiedImageError", "cannot identify image file")
