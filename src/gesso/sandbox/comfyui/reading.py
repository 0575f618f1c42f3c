"""What a workflow that was checked would make: its prompt, size, seed and pictures, found by following the links."""

from dataclasses import dataclass, replace
from typing import Any

_DEEPEST = 200


class Crash(Exception):
    """A node raises while it runs: `node` is its id, `kind` the exception's full name; the message is its words."""

    def __init__(self, node: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.node, self.kind = node, kind


@dataclass(frozen=True)
class Scene:
    """What to make. `frames` 1 for pictures; `pictures` are names of uploads with the nodes that load them; `sampler`
    is the node that does the work. Without one it is the first picture as it was loaded."""

    prompt: str = ""
    seed: int = 0
    width: int | None = None
    height: int | None = None
    batch: int = 1
    frames: int = 1
    pictures: tuple[tuple[str, str], ...] = ()
    sampler: str | None = None


def words_of(workflow: dict[str, Any]) -> str:
    """Everything somebody wrote into text nodes: the sandbox looks for faults in it."""
    texts = [node["inputs"].get("text") for node in _nodes(workflow) if node.get("class_type") == "CLIPTextEncode"]
    return "\n".join(text for text in texts if isinstance(text, str))


def _nodes(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in workflow.values() if isinstance(node, dict) and isinstance(node.get("inputs"), dict)]


class Reader:
    """Follows the links of one workflow."""

    def __init__(self, workflow: dict[str, Any]) -> None:
        self._workflow = workflow

    def inputs(self, node: str) -> dict[str, Any]:
        """A node's inputs."""
        inputs: dict[str, Any] = self._workflow[node]["inputs"]
        return inputs

    def kind(self, node: str) -> str:
        """A node's class."""
        return str(self._workflow[node]["class_type"])

    def pictures(self, link: list[Any], deep: int = 0) -> Scene:
        """What gives the IMAGE behind a link."""
        node = self._step(link, deep)
        inputs = self.inputs(node)
        if self.kind(node) == "LoadImage":
            return Scene(pictures=((node, inputs["image"]),))
        return self._latent(inputs["samples"], deep + 1)

    def _latent(self, link: list[Any], deep: int) -> Scene:
        node = self._step(link, deep)
        kind, inputs = self.kind(node), self.inputs(node)
        if kind == "KSampler":
            scene = self._latent(inputs["latent_image"], deep + 1)
            prompt = self._prompt(inputs["positive"], deep + 1)
            return replace(scene, prompt=prompt, seed=inputs["seed"], sampler=node)
        if kind == "SamplerCustomAdvanced":
            scene = self._latent(inputs["latent_image"], deep + 1)
            guider = self.inputs(self._step(inputs["guider"], deep))
            noise = self.inputs(self._step(inputs["noise"], deep))
            prompt = self._prompt(guider["conditioning"], deep + 1)
            return replace(scene, prompt=prompt, seed=noise["noise_seed"], sampler=node)
        if kind == "VAEEncode":
            return self.pictures(inputs["pixels"], deep + 1)
        scene = Scene(
            width=inputs["width"] // 8 * 8, height=inputs["height"] // 8 * 8, batch=inputs["batch_size"],
            frames=inputs.get("length", 1),
        )  # fmt: skip
        if "start_image" in inputs:
            scene = replace(scene, pictures=self.pictures(inputs["start_image"], deep + 1).pictures)
        return scene

    def _prompt(self, link: list[Any], deep: int) -> str:
        node = self._step(link, deep)
        inputs = self.inputs(node)
        if self.kind(node) == "CLIPTextEncode":
            return str(inputs["text"])
        onward = inputs["positive"] if self.kind(node) == "WanImageToVideo" else inputs["conditioning"]
        return self._prompt(onward, deep + 1)

    def _step(self, link: list[Any], deep: int) -> str:
        node = str(link[0])
        if deep > _DEEPEST:
            raise Crash(node, "RecursionError", "maximum recursion depth exceeded")
        return node
