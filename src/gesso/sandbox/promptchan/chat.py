"""POST /chat: an answer at once, out of a conversation that the caller keeps."""

import asyncio
import secrets
from datetime import UTC, datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox import writer
from gesso.sandbox.promptchan.bodies import ChatBody
from gesso.sandbox.promptchan.face import PromptchanFace
from gesso.sandbox.promptchan.making import begin
from gesso.sandbox.transport import strike_after

_GEMS = Decimal("0.25")
"""Not documented; the sandbox's own."""
_INSTRUCTION = "JSON Schema:"


async def chat(request: Request, face: PromptchanFace) -> Response:
    """The route."""
    begun = await begin(request, face, ChatBody, "message")
    if isinstance(begun, Response):
        return begun
    asked, body = begun
    request_id = f"chat-{secrets.token_hex(12)}"
    face.ground.bill.open(
        request_id=request_id, provider=face.name, endpoint="chat", key_hint=asked.caller.hint, prompt=body.message
    )
    ignoring = "no-schema" in asked.faults
    system = "\n".join([body.characterData.personality, body.characterData.scenario])
    conversation = writer.Conversation(
        said=body.message, system=system.partition(_INSTRUCTION)[0] if ignoring else system,
        earlier=tuple(turn.content for turn in body.chatHistory if turn.role == "user"),
    )  # fmt: skip
    text = "" if "empty" in asked.faults else await asyncio.to_thread(writer.reply, conversation)
    face.charge(asked.caller, request_id, _GEMS)
    if (slow := asked.faults.get("slow")) is not None:
        await asyncio.sleep(slow.number(10))
    turn = {"role": "assistant", "content": text, "send_date": datetime.now(UTC).isoformat()}
    answer = JSONResponse({"message": text, "chatHistory": [turn], "audio": None, "selfie": None})
    return strike_after(asked.faults, "submit", body.message, face.tally, answer)
