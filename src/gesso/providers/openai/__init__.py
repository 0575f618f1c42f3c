"""OpenAI's wire, and every server that speaks it. Facts: November 2026, from the official SDK 3.52.0."""
