"""Chat: a TextRequest to one POST, whose answer comes whole. Fact sheet, section 4.

The provider keeps no conversation: earlier turns go along each time. Instructions have no field of their own; they
are part of the character's scenario, which is what the model plays by. Nor is there a way to ask for JSON, so a
schema is asked for in words and the answer is looked at.
"""

from collections.abc import AsyncGenerator, Mapping

from gesso.providers import asking
from gesso.providers.base import JSON
from gesso.providers.errors import OutcomeUnknown, Rejected
from gesso.providers.passing import Passing, schema_in_words
from gesso.providers.promptchan import age, failures, wire
from gesso.providers.promptchan.client import PromptchanClient
from gesso.providers.promptchan.failures import Words
from gesso.providers.promptchan.options import Shape, checked_character, shape_of
from gesso.providers.promptchan.payload import micro_usd
from gesso.providers.text import TextEnd, TextRequest

_CHARACTER = ("name", "personality", "scenario", "gender", "openness", "emotions")
_USUAL: Mapping[str, JSON] = {
    "name": "Assistant", "personality": "friendly, helpful and to the point", "scenario": "A conversation.",
    "openness": 1, "emotions": 1,
}  # fmt: skip


async def write(client: PromptchanClient, words: Words, request: TextRequest) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated; one piece, for nothing is streamed."""
    shape = shape_of(request.wire)
    built = body(request, shape)
    answer = await client.make("chat", built, seconds=shape.seconds, about="Chat", chat=True)
    data = answer.data()
    if answer.status != 200:
        # An answer costs little: where a proxy lost it, it may be asked for again.
        raise failures.classify(answer, words, client.mask, paid=False)
    if wire.has_error(data):
        raise failures.of_answer(data, words, client.mask)
    text = wire.message(data)
    if text is None:
        raise OutcomeUnknown(note="Chat: an answer without a message.")
    passing = Passing(wants_json=request.schema is not None)
    for piece in (passing.take(text), *passing.rest(cut=False, finish=None)):
        if piece:
            yield piece
    yield TextEnd("stop", cost_micro_usd=micro_usd(shape.price(""), shape))


def body(request: TextRequest, shape: Shape) -> dict[str, JSON]:
    """What to send. Raises Rejected, Misconfigured."""
    years = age.of_request(request.options, request.wire)
    asking.check_pictures(sum(len(message.images) for message in request.messages), 0, required=False)
    given = {name: value for name, value in request.options.items() if value is not None}
    own = {name: given[name] for name in _CHARACTER if name in given}
    character: dict[str, JSON] = {**_USUAL, **shape.character, **checked_character(own)}
    said = [message for message in request.messages if message.role != "system"]
    system = [message.text for message in request.messages if message.role == "system"]
    if request.schema is not None:
        system.append(schema_in_words(request.schema))
    texts = [value for value in character.values() if isinstance(value, str)]
    user_name = given.get("user_name", shape.user_name)
    # A schema is the product's own, and its words are about data, not about people.
    age.check_words([*texts, *(message.text for message in request.messages), str(user_name)])
    character["scenario"] = "\n\n".join([str(character["scenario"]), *system])
    character["age"] = years
    if not said or said[-1].role != "user" or not said[-1].text.strip():
        raise Rejected("There is nothing to answer.", field="prompt")
    history: list[JSON] = [{"role": message.role, "content": message.text} for message in said[:-1]]
    return {
        "message": said[-1].text, "userName": str(user_name)[:80], "isRoleplay": shape.roleplay, "redo": False,
        "characterData": character, "chatHistory": history,
    }  # fmt: skip
