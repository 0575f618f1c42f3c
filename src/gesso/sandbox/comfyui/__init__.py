"""A stand-in for a ComfyUI box, written from docs/providers/comfyui.md."""
