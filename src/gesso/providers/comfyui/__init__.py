"""ComfyUI: workflows on a box of one's own. Facts: docs/providers/comfyui.md (November 2026, from its source)."""
