"""kie.ai's wire: market jobs, FLUX Kontext, uploads, callbacks, credits, chat. Written from the fact sheet."""
