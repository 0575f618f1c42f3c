"""What each model takes, as strict models: no string for a number, no unknown field. Fact sheet, section 6."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from gesso.sandbox.painter import Format

Size = tuple[int, int]
Ratio = Literal["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]
Scheduler = Literal[
    "DDIM", "DPMSolverMultistep", "HeunDiscrete", "KarrasDPM", "K_EULER_ANCESTRAL", "K_EULER", "PNDM"
]  # fmt: skip
FluxFormat = Literal["webp", "jpg", "png"]
Frames = Literal["14_frames_with_svd", "25_frames_with_svd_xt"]
ControlNet = Literal["none", "edge_canny", "depth_leres", "soft_edge_pidi", "lineart", "openpose"]

MEGAPIXEL: Mapping[str, Size] = {
    "1:1": (1024, 1024), "16:9": (1344, 768), "21:9": (1536, 640), "3:2": (1216, 832), "2:3": (832, 1216),
    "4:5": (896, 1088), "5:4": (1088, 896), "3:4": (896, 1152), "4:3": (1152, 896), "9:16": (768, 1344),
    "9:21": (640, 1536),
}  # fmt: skip
_FORMATS: Mapping[str, Format] = {"webp": "webp", "jpg": "jpeg", "png": "png"}


class Unworkable(ValueError):
    """The model fails on this input; the message is its error."""


class Input(BaseModel, ABC):
    """What every model has in common, in one vocabulary. `pictures` names the fields that hold input files."""

    model_config = ConfigDict(strict=True, extra="forbid")
    pictures: ClassVar[tuple[str, ...]] = ()
    seed: int | None = None

    @property
    def text(self) -> str:
        """The prompt."""
        return str(getattr(self, "prompt", ""))

    @property
    def count(self) -> int:
        """Outputs asked for."""
        return int(getattr(self, "num_outputs", 1))

    @property
    def steps(self) -> int:
        """Steps of the progress bar."""
        return int(getattr(self, "num_inference_steps", 28))

    @property
    def file_format(self) -> Format:
        return _FORMATS[getattr(self, "output_format", "png")]

    @property
    def checker(self) -> bool:
        """Whether the safety checker is on."""
        return not getattr(self, "disable_safety_checker", False)

    def files(self) -> list[str]:
        """URLs of the input files, in the order of `pictures`."""
        return [value for name in self.pictures if isinstance(value := getattr(self, name), str)]

    @abstractmethod
    def size(self, first: Size | None) -> Size:
        """Pixels of the result; `first` is the size of the first input picture. Raises Unworkable."""


class SdxlInput(Input):
    pictures: ClassVar[tuple[str, ...]] = ("image", "mask")
    prompt: str = "An astronaut riding a rainbow unicorn"
    negative_prompt: str = ""
    image: str | None = None
    mask: str | None = None
    width: int = 1024
    height: int = 1024
    num_outputs: int = Field(1, ge=1, le=4)
    scheduler: Scheduler = "K_EULER"
    num_inference_steps: int = Field(50, ge=1, le=500)
    guidance_scale: float = Field(7.5, ge=1, le=50)
    prompt_strength: float = Field(0.8, ge=0, le=1)
    refine: Literal["no_refiner", "expert_ensemble_refiner", "base_image_refiner"] = "no_refiner"
    high_noise_frac: float = Field(0.8, ge=0, le=1)
    refine_steps: int | None = None
    apply_watermark: bool = True
    lora_scale: float = Field(0.6, ge=0, le=1)
    replicate_weights: str | None = None
    disable_safety_checker: bool = False

    def size(self, first: Size | None) -> Size:
        if self.width % 8 or self.height % 8 or min(self.width, self.height) < 8:
            raise Unworkable(f"`height` and `width` have to be divisible by 8 but are {self.height} and {self.width}.")
        return self.width, self.height


class MultiControlnetInput(SdxlInput):
    pictures: ClassVar[tuple[str, ...]] = (
        "image", "mask", "controlnet_1_image", "controlnet_2_image", "controlnet_3_image"
    )  # fmt: skip
    width: int = 768
    height: int = 768
    num_inference_steps: int = Field(30, ge=1, le=500)
    refine: Literal["no_refiner", "base_image_refiner"] = "no_refiner"
    sizing_strategy: Literal[
        "width_height", "input_image", "controlnet_1_image", "controlnet_2_image", "controlnet_3_image", "mask_image"
    ] = "width_height"
    lora_weights: str | None = None
    controlnet_1: ControlNet = "none"
    controlnet_1_image: str | None = None
    controlnet_1_conditioning_scale: float = Field(0.75, ge=0, le=4)
    controlnet_1_start: float = Field(0, ge=0, le=1)
    controlnet_1_end: float = Field(1, ge=0, le=1)
    controlnet_2: ControlNet = "none"
    controlnet_2_image: str | None = None
    controlnet_2_conditioning_scale: float = Field(0.75, ge=0, le=4)
    controlnet_2_start: float = Field(0, ge=0, le=1)
    controlnet_2_end: float = Field(1, ge=0, le=1)
    controlnet_3: ControlNet = "none"
    controlnet_3_image: str | None = None
    controlnet_3_conditioning_scale: float = Field(0.75, ge=0, le=4)
    controlnet_3_start: float = Field(0, ge=0, le=1)
    controlnet_3_end: float = Field(1, ge=0, le=1)

    def size(self, first: Size | None) -> Size:
        if self.sizing_strategy == "width_height":
            return super().size(first)
        if first is None:
            raise Unworkable(f"sizing_strategy is {self.sizing_strategy}, but there is no such image.")
        return _divisible(first, 8)


class _FluxInput(Input):
    prompt: str
    aspect_ratio: Ratio = "1:1"
    num_outputs: int = Field(1, ge=1, le=4)
    output_format: FluxFormat = "webp"
    output_quality: int = Field(80, ge=0, le=100)
    disable_safety_checker: bool = False

    def size(self, first: Size | None) -> Size:
        width, height = MEGAPIXEL[self.aspect_ratio]
        return (width // 2, height // 2) if getattr(self, "megapixels", "1") == "0.25" else (width, height)


class SchnellInput(_FluxInput):
    num_inference_steps: int = Field(4, ge=1, le=4)
    go_fast: bool = True
    megapixels: Literal["1", "0.25"] = "1"


class DevInput(_FluxInput):
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    image: str | None = None
    prompt_strength: float = Field(0.8, ge=0, le=1)
    num_inference_steps: int = Field(28, ge=1, le=50)
    guidance: float = Field(3, ge=0, le=10)
    go_fast: bool = True
    megapixels: Literal["1", "0.25"] = "1"


class MultiLoraInput(_FluxInput):
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    hf_loras: list[str] | None = None
    lora_scales: list[float] | None = None
    image: str | None = None
    prompt_strength: float = Field(0.8, ge=0, le=1)
    num_inference_steps: int = Field(28, ge=1, le=50)
    guidance_scale: float = Field(3.5, ge=0, le=10)

    def size(self, first: Size | None) -> Size:
        if self.lora_scales is not None and len(self.lora_scales) != len(self.hf_loras or []):
            raise Unworkable("Number of lora_scales must match number of hf_loras.")
        return super().size(first)


class ProInput(Input):
    pictures: ClassVar[tuple[str, ...]] = ("image_prompt",)
    prompt: str
    image_prompt: str | None = None
    aspect_ratio: Ratio | Literal["custom"] = "1:1"
    width: int | None = Field(None, ge=256, le=1440, multiple_of=32)
    height: int | None = Field(None, ge=256, le=1440, multiple_of=32)
    safety_tolerance: int = Field(2, ge=1, le=6)
    prompt_upsampling: bool = False
    output_format: FluxFormat = "webp"
    output_quality: int = Field(80, ge=0, le=100)

    def size(self, first: Size | None) -> Size:
        if self.aspect_ratio != "custom":
            return MEGAPIXEL[self.aspect_ratio]
        if self.width is None or self.height is None:
            raise Unworkable("width and height are needed with the aspect ratio custom.")
        return self.width, self.height


class FilmInput(Input):
    """Stable Video Diffusion: a picture in, a film out, no prompt."""

    pictures: ClassVar[tuple[str, ...]] = ("input_image",)
    input_image: str
    video_length: Frames = "14_frames_with_svd"
    sizing_strategy: Literal["maintain_aspect_ratio", "crop_to_16_9", "use_image_dimensions"] = "maintain_aspect_ratio"
    frames_per_second: int = Field(6, ge=5, le=30)
    motion_bucket_id: int = Field(127, ge=1, le=255)
    cond_aug: float = Field(0.02, ge=0)
    decoding_t: int = Field(14, ge=1)

    @property
    def frames(self) -> int:
        return int(self.video_length.partition("_")[0])

    @property
    def steps(self) -> int:
        return 25

    def size(self, first: Size | None) -> Size:
        width, height = first or (1024, 576)
        if self.sizing_strategy == "crop_to_16_9":
            return 1024, 576
        if self.sizing_strategy == "use_image_dimensions":
            scale = min(1.0, 1280 / max(width, height))
        else:
            scale = min(math.sqrt(1024 * 576 / (width * height)), 1280 / max(width, height))
        return _divisible((round(width * scale), round(height * scale)), 64)


def _divisible(size: Size, step: int) -> Size:
    return max(size[0] // step, 1) * step, max(size[1] // step, 1) * step


def prompt_of(raw: Any) -> str:
    """The prompt of an input that may be anything; of a film, its negative twin is nowhere either."""
    found = raw.get("prompt") if isinstance(raw, dict) else None
    return found if isinstance(found, str) else ""
