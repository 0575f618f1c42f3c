"""Chains in the panel and its API."""

import asyncio

from tests.admin.conftest import Panel


async def test_a_chain_is_set_by_a_form_and_given_up_again(panel: Panel) -> None:
    before = (await panel.operator.get("/api/admin/chains")).json()["items"]
    text = next(item for item in before if item["key"] == "text")
    assert text["set"] is False and text["links"]
    model = text["links"][0]["model"]
    form = {"model": [model, ""], "seconds": ["7", ""], "total_seconds": "20"}
    assert (await panel.operator.post("/admin/chains/text", data=form)).status_code == 303
    after = (await panel.operator.get("/api/admin/chains")).json()["items"][0]
    assert after == {"key": "text", "set": True, "links": [{"model": model, "seconds": 7}], "total_seconds": 20}
    assert (await panel.audited("chain.changed"))[0]["chain"] == "text"
    async with asyncio.timeout(25):  # the worker's and the web's catalogue follow
        while 'value="7"' not in (await panel.operator.get("/admin/chains")).text:
            await asyncio.sleep(0.05)
    assert (await panel.operator.post("/admin/chains/text/forget")).status_code == 303
    assert (await panel.operator.get("/api/admin/chains")).json()["items"] == before


async def test_a_chain_that_cannot_be_is_refused(panel: Panel) -> None:
    model = (await panel.operator.get("/api/admin/chains")).json()["items"][0]["links"][0]["model"]
    for links, said in (
        ([{"model": "no-such"}], "There is no model"),
        ([{"model": "juggernaut-lightning"}], "cannot be part of this chain"),
        ([{"model": model}, {"model": model}], "stands twice"),
        ([{"model": model, "seconds": 40}], "seconds, as the whole chain does"),
    ):
        refused = await panel.operator.put("/api/admin/chains/text", json={"links": links, "total_seconds": 30})
        assert refused.status_code == 422 and said in refused.json()["detail"]
    page = await panel.operator.post("/admin/chains/text", data={"model": [model, model], "seconds": ["3", "4"]})
    assert page.status_code == 422 and "stands twice" in page.text and 'value="4"' in page.text
    odd = {"model": [model], "seconds": ["soon"], "total_seconds": "25"}
    page = await panel.operator.post("/admin/chains/text", data=odd)
    assert page.status_code == 422 and "Row 1: give whole seconds" in page.text
    assert 'id="seconds"' in page.text and 'value="soon"' in page.text and 'value="25"' in page.text
