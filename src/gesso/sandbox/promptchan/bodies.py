"""Bodies of requests, as the vendor's document describes them. Unknown members are ignored, as there.

One thing is stricter than there: a request without the age of an adult under its exact name must never arrive. Who
sends one has a defect that the real provider might not notice, so it is refused loudly and counted (`Breach`).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ADULT = 18
Slider = Annotated[float, Field(ge=-1, le=1)]


class Breach(ValueError):
    """A request without an adult's age."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class ImageBody(_Body):
    """POST /create."""

    prompt: str = Field(min_length=1, max_length=10_000)
    negative_prompt: str = ""
    style: Literal[
        "Cinematic",
        "Anime",
        "Hyperreal",
        "Hyperanime",
        "K-Pop",
        "Fur",
        "Furtoon",
        "Render XL+",
        "Illustration XL+",
        "Anime XL",
        "Anime XL+",
        "Cinematic XL",
        "Photo XL+",
        "Hyperreal XL+",
        "Hyperreal XL+ v2",
        "Photo XL+ v2",
    ] = "Cinematic"
    poses: str = "Default"
    filter: Literal[
        "Default",
        "Cinematic",
        "Studio",
        "Flash",
        "Analog",
        "Professional",
        "Polaroid",
        "Vintage",
        "Manga",
        "Cyberpunk",
        "VHS",
        "Pixel XL",
        "Comic XL",
        "Fire Style XL",
        "Hyper",
        "3D",
        "Sketch",
        "Watercolor",
        "Lineart",
        "Moody",
        "Oil Painting",
        "Rainbow",
        "Artsy",
        "Artsy 2",
        "Cartoon",
        "Cartoon Vintage",
        "Painted",
        "Cartoon 2",
        "Cartoon 3",
        "Cartoon Minimalist",
        "Character Sheet",
        "Vintage Comic",
        "Pixel Art",
        "Anime Studio",
        "Polariod Picture",
        "Flash Photo",
        "Noir Movie",
        "Analog Photo",
        "Vintage Photo",
    ] = "Default"
    emotion: Literal[
        "Default",
        "Upset",
        "Disgusted",
        "Scared",
        "Winking",
        "Angry",
        "Smiling",
        "Laughing",
        "Ouch",
        "Shocked",
        "Stick out Tongue",
    ] = "Default"
    detail: float = Field(0, ge=-2, le=2)
    seed: int = Field(-1, ge=-1)
    quality: Literal["Ultra", "Extreme", "Max"] = "Ultra"
    creativity: int = Field(50, ge=0, le=100)
    image_size: Literal["512x512", "512x768", "768x512"] = "512x512"
    restore_faces: bool = False
    weight_slider: Slider = 0
    age_slider: int


class VideoBody(_Body):
    """POST /video_v2/submit, and the newer one that one caller uses."""

    prompt: str = Field(min_length=1, max_length=10_000)
    age_slider: float
    audioEnabled: bool = False
    video_quality: Literal["Standard", "High", "Max"] = "Standard"
    aspect: Literal["Portrait", "Wide", "Square", "Landscape"] = "Portrait"
    style: str | None = None
    seed: int | None = None


class Character(_Body):
    name: str = ""
    personality: str = ""
    scenario: str = ""
    gender: str = ""
    openness: int = Field(1, ge=0, le=2)
    emotions: int = Field(1, ge=0, le=2)
    age: int


class Turn(_Body):
    role: Literal["user", "assistant"]
    content: str


class ChatBody(_Body):
    """POST /chat."""

    message: str = Field(min_length=1)
    userName: str = ""
    isRoleplay: bool = False
    redo: bool = False
    characterData: Character
    chatHistory: list[Turn] = []


def check_age(raw: dict[str, Any], kind: Literal["media", "chat"]) -> None:
    """Raises Breach unless the age is there, under its name, a number, and an adult's."""
    holder = raw.get("characterData") if kind == "chat" else raw
    name = "age" if kind == "chat" else "age_slider"
    told = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(told, bool) or not isinstance(told, int | float) or not told >= ADULT:
        raise Breach(f"{name} is missing, or below {ADULT}. Your client must refuse this before it sends.")
