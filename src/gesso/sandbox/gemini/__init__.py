"""The Gemini face, written from the fact sheet (google-genai 3.4.0, November 2026)."""
