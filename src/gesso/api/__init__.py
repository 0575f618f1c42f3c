"""What belongs to the API as a whole: its description, its reference page, health."""
