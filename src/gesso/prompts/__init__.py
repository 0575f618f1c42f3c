"""Tools at the prompt field: improve a prompt, describe a picture. Each use is held, recorded, written and charged."""
