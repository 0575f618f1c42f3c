"""Workflows as ComfyUI exports them, with their places: wire data of models for tests."""

from typing import Any


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


SDXL: dict[str, Any] = {
    "3": _node(
        "KSampler", seed=0, steps=20, cfg=7, sampler_name="dpmpp_2m", scheduler="karras", denoise=1, model=["4", 0],
        positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
    ),
    "4": _node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
    "5": _node("EmptyLatentImage", width=1024, height=1024, batch_size=1),
    "6": _node("CLIPTextEncode", text="a lighthouse", clip=["4", 1]),
    "7": _node("CLIPTextEncode", text="blurry", clip=["4", 1]),
    "8": _node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": _node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
}  # fmt: skip
PLACES: dict[str, Any] = {
    "prompt": "6.text", "negative": "7.text", "width": "5.width", "height": "5.height", "count": "5.batch_size",
    "seed": "3.seed", "steps": "3.steps", "guidance": "3.cfg",
}  # fmt: skip
WIRE: dict[str, Any] = {"workflow": SDXL, "places": PLACES, "min_side": 16}

FROM_PICTURE: dict[str, Any] = {
    **{node: SDXL[node] for node in ("4", "6", "7", "8", "9")},
    "3": {**SDXL["3"], "inputs": {**SDXL["3"]["inputs"], "latent_image": ["11", 0], "denoise": 0.6}},
    "10": _node("LoadImage", image="example.png"),
    "11": _node("VAEEncode", pixels=["10", 0], vae=["4", 2]),
}
PICTURE_WIRE: dict[str, Any] = {
    "workflow": FROM_PICTURE,
    "places": {"prompt": "6.text", "seed": "3.seed", "strength": "3.denoise"},
    "images": "10.image",
    "outputs": ["9"],
}

FLUX: dict[str, Any] = {
    "6": _node("CLIPTextEncode", text="", clip=["11", 0]),
    "8": _node("VAEDecode", samples=["13", 0], vae=["10", 0]),
    "9": _node("SaveImage", filename_prefix="flux", images=["8", 0]),
    "10": _node("VAELoader", vae_name="ae.safetensors"),
    "11": _node(
        "DualCLIPLoader", clip_name1="t5xxl_fp8_e4m3fn.safetensors", clip_name2="clip_l.safetensors", type="flux"
    ),
    "12": _node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    "13": _node(
        "SamplerCustomAdvanced", noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["17", 0],
        latent_image=["27", 0],
    ),
    "16": _node("KSamplerSelect", sampler_name="euler"),
    "17": _node("BasicScheduler", model=["12", 0], scheduler="simple", steps=20, denoise=1.0),
    "22": _node("BasicGuider", model=["12", 0], conditioning=["26", 0]),
    "25": _node("RandomNoise", noise_seed=1),
    "26": _node("FluxGuidance", conditioning=["6", 0], guidance=3.5),
    "27": _node("EmptySD3LatentImage", width=1024, height=1024, batch_size=1),
    "30": _node("PreviewImage", images=["8", 0]),
}  # fmt: skip
FLUX_WIRE: dict[str, Any] = {
    "workflow": FLUX,
    "places": {"prompt": "6.text", "width": "27.width", "height": "27.height", "seed": "25.noise_seed",
               "steps": "17.steps", "guidance": "26.guidance"},
    "step": 16, "min_side": 16, "area": 96 * 64,
}  # fmt: skip

WAN: dict[str, Any] = {
    "3": {**SDXL["3"], "inputs": {**SDXL["3"]["inputs"], "model": ["37", 0], "positive": ["50", 0],
                                  "negative": ["50", 1], "latent_image": ["50", 2]}},
    "6": _node("CLIPTextEncode", text="", clip=["38", 0]),
    "7": _node("CLIPTextEncode", text="", clip=["38", 0]),
    "8": _node("VAEDecode", samples=["3", 0], vae=["39", 0]),
    "37": _node("UNETLoader", unet_name="wan2.1_t2v_1.3B_fp16.safetensors", weight_dtype="default"),
    "38": _node("CLIPLoader", clip_name="umt5_xxl_fp8_e4m3fn_scaled.safetensors", type="wan"),
    "39": _node("VAELoader", vae_name="wan_2.1_vae.safetensors"),
    "49": _node("CreateVideo", images=["8", 0], fps=16),
    "50": _node("WanImageToVideo", positive=["6", 0], negative=["7", 0], vae=["39", 0], width=480, height=480,
                length=33, batch_size=1, start_image=["52", 0]),
    "52": _node("LoadImage", image="first.png"),
    "58": _node("SaveVideo", video=["49", 0], filename_prefix="video/ComfyUI", format="auto", codec="auto"),
}  # fmt: skip
WAN_WIRE: dict[str, Any] = {
    "workflow": WAN,
    "places": {"prompt": "6.text", "negative": "7.text", "seed": "3.seed", "width": "50.width", "height": "50.height",
               "duration": {"at": "50.length", "times": 16, "plus": 1}},
    "images": ["52.image"],
    "step": 16,
}  # fmt: skip
