"""What is asked of whom: seeds, the chain of models, the provider's request, and what is told meanwhile. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.catalog.items import Connection, Model
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputPrice, Price
from gesso.generation import estimates
from gesso.generation.models import Generation, Output, charged
from gesso.generation.request import chain, deadline, media_request, seeds
from gesso.generation.tools import webhook_url
from gesso.generation.turns import Place
from tests.catalog.helpers import model as painter

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONNECTION = Connection(id=new_id(), key="fal", adapter="fal", name="fal")
SEED = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
SIZE = {"type": "string", "enum": ["1024x1024", "512x512"], "default": "1024x1024"}
STEPS = {"type": "integer", "minimum": 1, "maximum": 50, "default": 28}


def model(key: str, properties: Mapping[str, Any] | None = None, **changes: Any) -> Model:
    price = changes.pop("price", None)
    made = painter(properties if properties is not None else {"size": SIZE, "steps": STEPS, "seed": SEED}, price=price)
    return replace(made, key=key, name=key.title(), connection_id=CONNECTION.id, **changes)


def generation(params: Mapping[str, Any], count: int = 1, **changes: Any) -> Generation:
    price = Price.of([OutputPrice(MICRO)] * count)
    made = Generation(
        id=new_id(), workspace_id=new_id(), user_id=new_id(), kind="image", state="running", source="api",
        rerun_of=None, model_key="first", model_id=new_id(), model_name="First", prompt="a harbour",
        negative_prompt=None, params={"prompt": "a harbour", "count": count, **params}, inputs=(), count=count,
        seed=7, priority=0, parallel=2, hold_id=new_id(), price=price, charged=None, progress=0.0, warnings=(),
        error_code=None, error_message=None, created_at=NOW, queue_deadline_at=NOW, dispatched_at=NOW,
        started_at=NOW, deadline_at=NOW, finished_at=None,
    )  # fmt: skip
    return replace(made, **changes)


def steps(asked: Generation, *models: Model, connections: Mapping[UUID, Connection] | None = None) -> list[str]:
    known = {one.key: one for one in models}
    lines = connections if connections is not None else {CONNECTION.id: CONNECTION}
    return [step.model.key for step in chain(asked, asked.price.outputs, known.get, lines.get)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 100))
def test_every_output_has_its_own_seed_within_what_the_model_takes(first: int, count: int) -> None:
    found = seeds(model("first"), first, count, 99)
    assert found[0] == first and len(set(found)) == count == len(found)
    assert all(seed is not None and 0 <= seed <= 2**32 - 1 for seed in found)
    assert seeds(model("first"), None, count, 99)[0] == 99
    assert seeds(model("first", {}), None, count, 99) == (None,) * count


def test_a_fallback_serves_only_within_what_is_held() -> None:
    first = model("first", fallbacks=("same", "cheaper", "dearer", "gone"))
    others = model("same"), model("cheaper", price={"credits": "0.5"}), model("dearer", price={"credits": "1.1"})
    assert steps(generation({"size": "1024x1024"}), first, *others) == ["first", "same", "cheaper"]
    allowance = generation({}, price=Price.of([OutputPrice(0, {"image": 1})]))
    assert steps(allowance, first, *others) == ["first", "same", "cheaper", "dearer"]  # one use is one use


def test_on_an_own_key_a_fallback_serves_only_where_there_is_a_key_and_costs_nothing_either_way() -> None:
    other = replace(CONNECTION, id=new_id())
    first, dearer = model("first", fallbacks=("dearer", "keyless")), model("dearer", price={"credits": "9"})
    keyless = replace(model("keyless"), connection_id=other.id)
    nothing = Price.of([OutputPrice(0)])
    asked = generation({"size": "1024x1024"}, price=nothing, own_key=True)
    assert steps(asked, first, dearer, keyless) == ["first", "dearer"]
    assert steps(replace(asked, own_key=False), first, dearer, keyless) == ["first"]
    (_, fallback) = chain(asked, nothing.outputs, {"first": first, "dearer": dearer}.get, lambda _: CONNECTION)
    assert fallback.prices == nothing.outputs


def test_a_fallback_must_know_what_matters_and_may_lack_the_rest() -> None:
    first = model("first", fallbacks=("plain", "sizeless", "strict"))
    plain = model("plain", {"size": SIZE})
    strict = model("strict", {"size": {"type": "string", "enum": ["64x64"]}, "steps": STEPS})
    asked = generation({"size": "1024x1024", "steps": 28})
    assert steps(asked, first, plain, model("sizeless", {"steps": STEPS}), strict) == ["first", "plain"]
    (_, fallback) = chain(
        asked, asked.price.outputs, {"first": first, "plain": plain}.get, {CONNECTION.id: CONNECTION}.get
    )
    assert "steps" not in fallback.params and fallback.params["size"] == "1024x1024"


@pytest.mark.parametrize(("asked_for", "taken"), [(4, 28), (6, 6)])
def test_what_was_left_at_its_default_is_left_at_the_fallbacks(asked_for: int, taken: int) -> None:
    first = model("first", {"size": SIZE, "steps": STEPS | {"default": 4}}, fallbacks=("slow",))
    known = {"first": first, "slow": model("slow", {"size": SIZE, "steps": STEPS})}
    asked = generation({"size": "512x512", "steps": asked_for})
    (_, fallback) = chain(asked, asked.price.outputs, known.get, {CONNECTION.id: CONNECTION}.get)
    assert fallback.params["size"] == "512x512" and fallback.params.get("steps", 28) == taken


def test_what_is_switched_off_or_gone_is_left_out() -> None:
    first, other = model("first", fallbacks=("other",)), model("other", enabled=False)
    assert steps(generation({}), first, other) == ["first"]
    assert steps(generation({}), replace(first, enabled=False)) == ["first"]  # it was on when it was asked for
    off = {CONNECTION.id: replace(CONNECTION, enabled=False)}
    assert steps(generation({}), first, connections=off) == steps(generation({}), first, connections={}) == []
    assert steps(generation({})) == []


def test_the_request_speaks_our_words() -> None:
    first = model("first", {"size": SIZE, "steps": STEPS}, wire={"steps": "num_inference_steps"}, upstream="a/b")
    asked = generation({"size": "1024x1024", "steps": 4, "negative_prompt": "", "quality": "best"}, count=2)
    (step,) = chain(asked, asked.price.outputs, {"first": first}.get, {CONNECTION.id: CONNECTION}.get)
    outputs = [Output(asked.id, index, new_id(), "pending", 7 + index, OutputPrice(MICRO)) for index in range(2)]
    request = media_request(step, asked, outputs[1:], webhook_url="https://x", deadline_seconds=240.0)
    assert (request.model, request.count, request.seed, request.prompt) == ("a/b", 1, 8, "a harbour")
    assert (request.width, request.height, request.aspect_ratio, request.quality) == (1024, 1024, None, "best")
    assert request.options == {"steps": 4} and request.wire == {"steps": "num_inference_steps"}
    assert request.negative_prompt is None and request.webhook_url == "https://x" and request.deadline_seconds == 240.0


def test_deadlines_follow_the_model_within_bounds() -> None:
    assert deadline(model("quick", typical_seconds=2)) == timedelta(minutes=5)
    assert deadline(model("slow", typical_seconds=60)) == timedelta(minutes=12)
    assert deadline(model("endless", typical_seconds=10_000)) == timedelta(minutes=30)
    assert deadline(model("film", kind="video", typical_seconds=60)) == timedelta(minutes=30)


def test_only_a_public_https_address_is_given_to_providers() -> None:
    key = UUID(int=5)
    assert webhook_url("https://art.example.com", "fal", key) == f"https://art.example.com/api/webhooks/fal?call={key}"
    assert webhook_url("https://8.8.8.8", "fal", key) is not None
    for base in (None, "", "http://art.example.com", "https://localhost:8000", "https://studio", "https://10.0.0.1",
                 "https://127.0.0.1", "https://[::1]", "https://box.local", "https://db.internal"):  # fmt: skip
        assert webhook_url(base, "fal", key) is None, base


@given(st.integers(1, 20), st.data(), st.floats(0, 1e6), st.floats(0, 1e5))
def test_progress_stays_below_one_until_the_end(
    count: int, data: st.DataObject, elapsed: float, typical: float
) -> None:
    ended = data.draw(st.integers(0, count - 1))
    asked = generation({}, count)
    now = estimates.progress(asked, ended, elapsed, typical)
    assert ended / count - 0.001 <= now < 1
    assert estimates.progress(asked, ended, elapsed + 1, typical) >= now
    assert estimates.progress(replace(asked, state="queued"), 0, elapsed, typical) == 0
    assert estimates.progress(replace(asked, state="succeeded"), count, elapsed, typical) == 1
    assert estimates.progress(replace(asked, state="cancelled"), ended, elapsed, typical) == ended / count
    left = estimates.eta_seconds(asked, elapsed, typical, None)
    assert left is not None and left >= 1


def test_those_ahead_take_their_time() -> None:
    asked = generation({}, state="queued")
    assert estimates.eta_seconds(asked, 0, 10, Place(0, 2)) == 10
    assert estimates.eta_seconds(asked, 0, 10, Place(4, 2)) == 30
    assert estimates.eta_seconds(replace(asked, state="failed"), 0, 10, None) is None


def test_what_was_paid_is_the_sum_of_what_arrived() -> None:
    made = [Output(new_id(), index, new_id(), state, None, OutputPrice(MICRO), late=late)
            for index, (state, late) in enumerate([("delivered", False), ("failed", False), ("delivered", True)])]  # type: ignore[arg-type]  # fmt: skip
    assert charged(tuple(made)) == Price.of([OutputPrice(MICRO), OutputPrice(0)])
