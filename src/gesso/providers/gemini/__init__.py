"""Google's Gemini API (generateContent). Facts: November 2026, from the official SDK google-genai 3.4.0."""
