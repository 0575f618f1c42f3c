"""What the sandbox writes: richer prompts, true descriptions, JSON that fits, and small talk that admits what it is."""

import io
import json
from typing import Any

import jsonschema
import pytest
from PIL import Image

from gesso.sandbox.writer import Conversation, Unreadable, picture_tokens, reply, tokens


def drawn(size: tuple[int, int], *colours: str) -> bytes:
    """A picture of equal stripes, top to bottom."""
    picture = Image.new("RGB", size)
    step = size[1] // len(colours)
    for number, colour in enumerate(colours):
        picture.paste(Image.new("RGB", (size[0], step + len(colours)), colour), (0, number * step))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("said", "system"),
    [
        ("Improve this prompt: a cat on a roof", ""),
        ("a cat on a roof", "You improve prompts for pictures. Answer with the prompt only."),
        ('Make this prompt better: "a cat on a roof"', ""),
        ("Please rewrite the prompt:\na cat on a roof", ""),
    ],
)
def test_the_users_words_stay_and_gain(said: str, system: str) -> None:
    text = reply(Conversation(said, system))
    assert text.startswith("a cat on a roof, ")
    assert text.count(",") >= 5
    assert text == reply(Conversation(said, system))


def test_what_is_said_already_is_not_said_again() -> None:
    system = "Improve the prompt."
    plain = reply(Conversation("a fox", system))
    full = reply(Conversation("a fox at sunset, 35 mm lens, close-up, cosy mood, forest background", system))
    assert full.count(",") - 4 < plain.count(",")
    assert "watercolour" in reply(Conversation("a watercolour fox", system))
    assert "lens" not in reply(Conversation("a watercolour fox", system))


def test_a_description_is_true() -> None:
    text = reply(Conversation("Describe it", pictures=(drawn((400, 600), "white", "white", "black"),)))
    assert "portrait (2:3) picture of 400 × 600 pixels" in text
    assert text.index("white") < text.index("black")
    assert "upper half is the brighter" in text
    assert "strong contrasts" in text
    text = reply(Conversation("Describe", pictures=(drawn((100, 100), "red"), drawn((161, 90), "blue"))))
    assert "Picture 1: A square picture" in text
    assert "Picture 2: A landscape (about 16:9)" in text
    assert "blue" in text


def test_an_unreadable_picture_is_told() -> None:
    with pytest.raises(Unreadable):
        reply(Conversation("Describe", pictures=(b"nothing",)))
    assert picture_tokens(drawn((1024, 1024), "red")) == 1024


def made_of(**properties: Any) -> dict[str, Any]:
    """An object's schema that requires all its members."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TEXT = {"type": "string"}
NINE = made_of(variants={"type": "array", "items": TEXT, "minItems": 9, "maxItems": 9})
ITEM = made_of(
    title={"type": "string", "maxLength": 20},
    mood={"enum": ["calm", "loud"]},
    score={"type": "integer", "minimum": 1, "maximum": 5},
    good={"type": "boolean"},
    note={"type": ["string", "null"]},
    tags={"type": "array", "items": TEXT},
)
ITEMS = made_of(items={"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/item"}}) | {"$defs": {"item": ITEM}}
VERDICT = made_of(verdict={"anyOf": [{"const": "fine"}, {"type": "null"}]}, why={"type": "string", "minLength": 30})


@pytest.mark.parametrize("schema", [NINE, ITEMS, VERDICT])
def test_json_fits_its_schema(schema: dict[str, Any]) -> None:
    made = json.loads(reply(Conversation("Ideas about an old lighthouse", "Write prompts.", schema=schema)))
    jsonschema.validate(made, schema)


def test_variants_differ_and_their_number_can_be_said_in_words() -> None:
    made = json.loads(reply(Conversation("a lighthouse", "Write prompts.", schema=NINE)))["variants"]
    assert len(set(made)) == 9
    free = {"type": "object", "properties": {"prompts": {"type": "array", "items": {"type": "string"}}}}
    assert len(json.loads(reply(Conversation("four prompts about the sea", schema=free)))["prompts"]) == 4
    inside = f"Answer with JSON. It must follow this JSON Schema:\n{json.dumps(free)}"
    assert len(json.loads(reply(Conversation("six prompts about the sea", inside)))["prompts"]) == 6


def test_small_talk_admits_what_it_is() -> None:
    for words in ("Hello", "What is the weather in Lisbon?", "", "¿Qué tal?", "sandbox:slow=1 hi"):
        text = reply(Conversation(words))
        assert "sandbox" in text
        assert "slow" not in text
        assert len(text) < 400
    assert "lisbon" in reply(Conversation("What is the weather in Lisbon?")).lower()


def test_a_summary_is_shorter() -> None:
    long = "The quick brown fox jumps over the lazy dog near the old river bank while it rains. " * 6
    assert len(reply(Conversation(long, "Summarise the talk."))) < len(long) / 2


def test_tokens_join_to_the_text() -> None:
    text = "  A first line,\n\nand “another” one …"
    assert "".join(tokens(text)) == text
    assert tokens("   ") == []
