"""kie.ai: market jobs, FLUX Kontext, uploads, callbacks, chat. Facts were collected in November 2026 from its pages."""
