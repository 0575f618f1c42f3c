"""What each endpoint takes, as strict models: no string for a number, no number for a string, no unknown field.

fal ignores unknown fields; the sandbox refuses them, so that an adapter sending an option
a model lacks is found out.
Ranges and defaults: fact sheet, section 7.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gesso.sandbox.fal import sizes
from gesso.sandbox.painter import Format

Size = tuple[int, int]
Preset = Literal["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
Tolerance = Literal["1", "2", "3", "4", "5", "6"]
Ratio = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}:[0-9]{1,3}$")]
Kling3Duration = Literal["3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"]
BananaRatio = Literal["auto", "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16"]


class ImageSize(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    width: int = Field(512, gt=0, le=14142)
    height: int = Field(512, gt=0, le=14142)


class LoraWeight(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    path: str
    scale: float = Field(1.0, ge=0, le=4)


class Input(BaseModel, ABC):
    """What every endpoint has. Subclasses say their size, format and references in one vocabulary."""

    model_config = ConfigDict(strict=True, extra="forbid")
    prompt: str
    seed: int | None = None
    sync_mode: bool = False

    @property
    def count(self) -> int:
        """Pictures asked for."""
        return int(getattr(self, "num_images", 1))

    @property
    def file_format(self) -> Format:
        chosen: Format = getattr(self, "output_format", "png")
        return chosen

    @property
    def checker(self) -> bool:
        """Whether the safety checker is on."""
        return bool(getattr(self, "enable_safety_checker", True))

    def references(self) -> list[tuple[list[str | int], str]]:
        """Input pictures: where the body names them, and their URL."""
        return []

    def without_pictures(self) -> "Input":
        """A copy that lets go of input pictures, which may be large data URIs."""
        fields = {"image_url": "", "image_urls": [], "start_image_url": "", "end_image_url": "", "tail_image_url": ""}
        return self.model_copy(update={k: v for k, v in fields.items() if k in type(self).model_fields})

    @abstractmethod
    def size(self, reference: Size | None) -> Size:
        """Pixels of the result; `reference` is the size of the first input picture, if any."""


def _pixels(size: ImageSize | str) -> Size:
    return (size.width, size.height) if isinstance(size, ImageSize) else sizes.PRESETS[size]


class UltraInput(Input):
    aspect_ratio: Ratio = "16:9"
    num_images: int = Field(1, ge=1, le=4)
    output_format: Literal["jpeg", "png"] = "jpeg"
    safety_tolerance: Tolerance = "2"
    enhance_prompt: bool = False
    image_url: str | None = None
    image_prompt_strength: float = Field(0.1, ge=0, le=1)
    raw: bool = False
    enable_safety_checker: bool = True

    def references(self) -> list[tuple[list[str | int], str]]:
        return [(["image_url"], self.image_url)] if self.image_url else []

    def size(self, reference: Size | None) -> Size:
        return sizes.from_ratio(sizes.parse_ratio(self.aspect_ratio), sizes.TWO_K)


class FluxInput(Input):
    """The common part of the FLUX text-to-image endpoints."""

    image_size: Preset | ImageSize = "landscape_4_3"
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"

    def size(self, reference: Size | None) -> Size:
        return _pixels(self.image_size)


class PhotoFluxInput(FluxInput):
    photo_lora_scale: float = 0.75
    num_inference_steps: int = Field(28, ge=1, le=50)
    guidance_scale: float = Field(3.5, ge=0, le=35)
    loras: list[LoraWeight] = []


class JuggernautInput(FluxInput):
    num_inference_steps: int = Field(28, ge=1, le=50)
    guidance_scale: float = Field(3.5, ge=1, le=20)


class LightningInput(FluxInput):
    num_inference_steps: int = Field(4, ge=1, le=12)


class SchnellInput(FluxInput):
    num_inference_steps: int = Field(4, ge=1, le=12)
    guidance_scale: float = Field(3.5, ge=1, le=20)
    acceleration: Literal["none", "regular", "high"] = "none"


class _FromImage(Input):
    image_url: str
    strength: float = Field(0.95, ge=0.01, le=1)
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"

    def references(self) -> list[tuple[list[str | int], str]]:
        return [(["image_url"], self.image_url)]

    def size(self, reference: Size | None) -> Size:
        width, height = reference or sizes.PRESETS["landscape_4_3"]
        return sizes.from_ratio(width / height, min(width * height, sizes.TWO_K), step=16)


class JuggernautFromImageInput(_FromImage):
    num_inference_steps: int = Field(40, ge=1, le=50)
    guidance_scale: float = Field(3.5, ge=1, le=20)


class LightningFromImageInput(_FromImage):
    num_inference_steps: int = Field(4, ge=1, le=12)


class BananaInput(Input):
    aspect_ratio: BananaRatio = "1:1"
    num_images: int = Field(1, ge=1, le=4)
    output_format: Format = "png"
    safety_tolerance: Tolerance = "4"
    limit_generations: bool = False

    def size(self, reference: Size | None) -> Size:
        if self.aspect_ratio == "auto":
            width, height = reference or (1, 1)
            return sizes.from_ratio(width / height, sizes.ONE_K)
        return sizes.from_ratio(sizes.parse_ratio(self.aspect_ratio), sizes.ONE_K)


class BananaEditInput(BananaInput):
    image_urls: list[str] = Field(min_length=1)
    aspect_ratio: BananaRatio = "auto"

    def references(self) -> list[tuple[list[str | int], str]]:
        return [(["image_urls", i], url) for i, url in enumerate(self.image_urls)]


class SeedreamInput(Input):
    image_size: Preset | Literal["auto", "auto_2K", "auto_4K"] | ImageSize = Field(
        default_factory=lambda: ImageSize(width=2048, height=2048)
    )
    num_images: int = Field(1, ge=1, le=6)
    max_images: int = Field(1, ge=1, le=6)
    enable_safety_checker: bool = True
    enhance_prompt_mode: Literal["standard", "fast"] = "standard"

    def size(self, reference: Size | None) -> Size:
        if isinstance(self.image_size, str) and self.image_size.startswith("auto"):
            width, height = reference or (1, 1)
            return sizes.from_ratio(width / height, sizes.FOUR_K if self.image_size == "auto_4K" else sizes.TWO_K)
        return sizes.at_least(_pixels(self.image_size), 960 * 960)


class SeedreamEditInput(SeedreamInput):
    image_urls: list[str] = Field(min_length=1)

    def references(self) -> list[tuple[list[str | int], str]]:
        named: list[tuple[list[str | int], str]] = [(["image_urls", i], url) for i, url in enumerate(self.image_urls)]
        return named[-10:]


FILM_AREA = 960 * 540
"""Smaller than the real one's, so that a film is made in seconds."""
LONGEST_RATIO = 2.5


class FilmInput(Input):
    """The common part of the Kling endpoints. Audio costs half as much again; the sandbox's films are silent."""

    seed: None = None  # these take none, and answer with a URL only
    sync_mode: Literal[False] = False
    negative_prompt: str = "blur, distort, and low quality"
    cfg_scale: float = Field(0.5, ge=0, le=1)

    @property
    def seconds(self) -> int:
        """How long the film is to be."""
        return int(getattr(self, "duration", "5"))

    @property
    def with_audio(self) -> bool:
        return bool(getattr(self, "generate_audio", False))

    def size(self, reference: Size | None) -> Size:
        width, height = reference or (16, 9)
        ratio = min(max(width / height, 1 / LONGEST_RATIO), LONGEST_RATIO)
        return sizes.from_ratio(ratio, FILM_AREA, step=2)


class _FilmFromText(FilmInput):
    aspect_ratio: Literal["16:9", "9:16", "1:1"] = "16:9"

    def size(self, reference: Size | None) -> Size:
        return sizes.from_ratio(sizes.parse_ratio(self.aspect_ratio), FILM_AREA, step=2)


class Kling25FromText(_FilmFromText):
    duration: Literal["5", "10"] = "5"


class Kling25FromImage(FilmInput):
    duration: Literal["5", "10"] = "5"
    image_url: str
    tail_image_url: str | None = None

    def references(self) -> list[tuple[list[str | int], str]]:
        tail: list[tuple[list[str | int], str]] = [(["tail_image_url"], url)] if (url := self.tail_image_url) else []
        return [(["image_url"], self.image_url), *tail]


class Kling3FromText(_FilmFromText):
    duration: Kling3Duration = "5"
    generate_audio: bool = True


class Kling3FromImage(FilmInput):
    duration: Kling3Duration = "5"
    generate_audio: bool = True
    start_image_url: str
    end_image_url: str | None = None

    def references(self) -> list[tuple[list[str | int], str]]:
        end: list[tuple[list[str | int], str]] = [(["end_image_url"], url)] if (url := self.end_image_url) else []
        return [(["start_image_url"], self.start_image_url), *end]


def prompt_of(body: Any) -> str:
    """The prompt of a body not validated yet, for faults and counting; empty when there is none."""
    prompt = body.get("prompt") if isinstance(body, dict) else None
    return prompt if isinstance(prompt, str) else ""
