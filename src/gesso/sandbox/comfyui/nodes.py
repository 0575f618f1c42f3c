"""The node classes that are installed, and the model files. Inputs as ComfyUI's own source declares them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_RESOLUTION = 16384
_LARGEST_SEED = 2**64 - 1

CHECKPOINTS = ["flux1-schnell-fp8.safetensors", "sd_xl_base_1.0.safetensors", "svd_xt.safetensors"]
DIFFUSION_MODELS = ["flux1-dev.safetensors", "flux1-schnell.safetensors", "wan2.1_t2v_1.3B_fp16.safetensors"]
TEXT_ENCODERS = ["clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors", "umt5_xxl_fp8_e4m3fn_scaled.safetensors"]
VAES = ["ae.safetensors", "sdxl_vae.safetensors", "wan_2.1_vae.safetensors"]
LORAS = [f"style_{number:02}.safetensors" for number in range(1, 25)]
_SAMPLERS = [
    "euler", "euler_ancestral", "heun", "dpm_2", "lms", "dpmpp_sde", "dpmpp_2m", "dpmpp_2m_sde", "lcm", "deis",
    "res_multistep", "ddim", "uni_pc",
]  # fmt: skip
_SCHEDULERS = [
    "simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic",
    "kl_optimal",
]  # fmt: skip


@dataclass(frozen=True)
class Input:
    """`type` is a type's name, or the list of what may be chosen. `more`: limits and defaults."""

    type: str | list[str]
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> list[Any]:
        """As it is told in `input_config` and `/object_info`."""
        return [self.type, dict(self.more)]


@dataclass(frozen=True)
class Node:
    """A class of nodes: its inputs, the types it gives, whether it makes a workflow worth running (`saves`)."""

    required: Mapping[str, Input]
    gives: tuple[str, ...] = ()
    optional: Mapping[str, Input] = field(default_factory=dict)
    saves: bool = False
    category: str = "sandbox"

    @property
    def inputs(self) -> Mapping[str, Input]:
        """All of them."""
        return {**self.required, **self.optional}


def _int(default: int, low: int, high: int, **more: Any) -> Input:
    return Input("INT", {"default": default, "min": low, "max": high, **more})


def _float(default: float, low: float, high: float, **more: Any) -> Input:
    return Input("FLOAT", {"default": default, "min": low, "max": high, **more})


def _of(**types: str) -> dict[str, Input]:
    return {name: Input(kind) for name, kind in types.items()}


_TEXT = Input("STRING", {"multiline": True, "dynamicPrompts": True})
_PREFIX = Input("STRING", {"default": "ComfyUI"})
_SEED = _int(0, 0, _LARGEST_SEED, control_after_generate=True)
_BATCH = _int(1, 1, 4096)
_DENOISE = _float(1.0, 0.0, 1.0, step=0.01)
_STEPS = _int(20, 1, 10000)
_SIZE = {"width": _int(512, 16, MAX_RESOLUTION, step=8), "height": _int(512, 16, MAX_RESOLUTION, step=8)}
_FRAMES = {
    "width": _int(848, 16, MAX_RESOLUTION, step=16), "height": _int(480, 16, MAX_RESOLUTION, step=16),
    "length": _int(25, 1, MAX_RESOLUTION, step=4), "batch_size": _BATCH,
}  # fmt: skip

NODES: Mapping[str, Node] = {
    "CheckpointLoaderSimple": Node({"ckpt_name": Input(CHECKPOINTS)}, ("MODEL", "CLIP", "VAE")),
    "UNETLoader": Node(
        {"unet_name": Input(DIFFUSION_MODELS), "weight_dtype": Input(["default", "fp8_e4m3fn", "fp8_e5m2"])},
        ("MODEL",),
    ),
    "CLIPLoader": Node(
        {"clip_name": Input(TEXT_ENCODERS), "type": Input(["stable_diffusion", "sd3", "wan", "qwen_image"])}, ("CLIP",)
    ),
    "DualCLIPLoader": Node(
        {"clip_name1": Input(TEXT_ENCODERS), "clip_name2": Input(TEXT_ENCODERS),
         "type": Input(["sdxl", "sd3", "flux", "hunyuan_video"])},
        ("CLIP",),
        {"device": Input(["default", "cpu"], {"advanced": True})},
    ),
    "VAELoader": Node({"vae_name": Input(VAES)}, ("VAE",)),
    "LoraLoader": Node(
        {**_of(model="MODEL", clip="CLIP"), "lora_name": Input(LORAS), "strength_model": _float(1.0, -100.0, 100.0),
         "strength_clip": _float(1.0, -100.0, 100.0)},
        ("MODEL", "CLIP"),
    ),
    "CLIPTextEncode": Node({"text": _TEXT, **_of(clip="CLIP")}, ("CONDITIONING",)),
    "ConditioningZeroOut": Node(_of(conditioning="CONDITIONING"), ("CONDITIONING",)),
    "FluxGuidance": Node({**_of(conditioning="CONDITIONING"), "guidance": _float(3.5, 0.0, 100.0)}, ("CONDITIONING",)),
    "EmptyLatentImage": Node({**_SIZE, "batch_size": _BATCH}, ("LATENT",)),
    "EmptySD3LatentImage": Node({**_SIZE, "batch_size": _BATCH}, ("LATENT",)),
    "EmptyHunyuanLatentVideo": Node(_FRAMES, ("LATENT",)),
    "WanImageToVideo": Node(
        {**_of(positive="CONDITIONING", negative="CONDITIONING", vae="VAE"), **_FRAMES},
        ("CONDITIONING", "CONDITIONING", "LATENT"),
        _of(start_image="IMAGE"),
    ),
    "KSampler": Node(
        {**_of(model="MODEL"), "seed": _SEED, "steps": _STEPS, "cfg": _float(8.0, 0.0, 100.0, step=0.1),
         "sampler_name": Input(_SAMPLERS), "scheduler": Input(_SCHEDULERS),
         **_of(positive="CONDITIONING", negative="CONDITIONING", latent_image="LATENT"), "denoise": _DENOISE},
        ("LATENT",),
    ),
    "RandomNoise": Node({"noise_seed": _SEED}, ("NOISE",)),
    "KSamplerSelect": Node({"sampler_name": Input(_SAMPLERS)}, ("SAMPLER",)),
    "BasicScheduler": Node(
        {**_of(model="MODEL"), "scheduler": Input(_SCHEDULERS), "steps": _STEPS, "denoise": _DENOISE}, ("SIGMAS",)
    ),
    "BasicGuider": Node(_of(model="MODEL", conditioning="CONDITIONING"), ("GUIDER",)),
    "SamplerCustomAdvanced": Node(
        _of(noise="NOISE", guider="GUIDER", sampler="SAMPLER", sigmas="SIGMAS", latent_image="LATENT"),
        ("LATENT", "LATENT"),
    ),
    "VAEDecode": Node(_of(samples="LATENT", vae="VAE"), ("IMAGE",)),
    "VAEEncode": Node(_of(pixels="IMAGE", vae="VAE"), ("LATENT",)),
    "LoadImage": Node({"image": Input([], {"image_upload": True})}, ("IMAGE", "MASK")),
    "SaveImage": Node({**_of(images="IMAGE"), "filename_prefix": _PREFIX}, saves=True),
    "PreviewImage": Node(_of(images="IMAGE"), saves=True),
    "CreateVideo": Node({**_of(images="IMAGE"), "fps": _float(30.0, 1.0, 120.0)}, ("VIDEO",), _of(audio="AUDIO")),
    "SaveVideo": Node(
        {**_of(video="VIDEO"), "filename_prefix": _PREFIX, "format": Input(["auto", "mp4"]),
         "codec": Input(["auto", "h264"])},
        saves=True,
    ),
    "VHS_VideoCombine": Node(
        {**_of(images="IMAGE"), "frame_rate": _float(8.0, 1.0, 120.0), "loop_count": _int(0, 0, 100),
         "filename_prefix": _PREFIX, "format": Input(["image/gif", "image/webp", "video/h264-mp4"]),
         "pingpong": Input("BOOLEAN", {"default": False}), "save_output": Input("BOOLEAN", {"default": True})},
        saves=True,
    ),
}  # fmt: skip


def told(name: str) -> dict[str, Any]:
    """A class as `/object_info` tells it."""
    node = NODES[name]
    return {
        "input": {
            "required": {key: part.config for key, part in node.required.items()},
            "optional": {key: part.config for key, part in node.optional.items()},
        },
        "output": list(node.gives),
        "name": name,
        "display_name": name,
        "category": node.category,
        "output_node": node.saves,
    }
