"""What things cost in the words and the unit that somebody pays with. Pure."""

from gesso.catalog.items import Model, Plan
from gesso.catalog.pricing import usual_price
from gesso.web.render import credits_words
from gesso.web.wording import unit_words


def usual_words(model: Model, *, by_plan: bool, outputs: int = 1) -> str:
    """ "1 credit", "3 credits"; with `by_plan` the uses that the plan gives: "1 image". Raises as `usual_price`."""
    if by_plan:
        return unit_words(model.kind, outputs)
    return credits_words(outputs * usual_price(model).credits)


def counted(plan: Plan, *, credited: bool) -> str:
    """The unit that the plan's people look at first: credits, or where nobody has those what it gives first."""
    return "credit" if credited else next(iter((*plan.monthly_grants, *plan.signup_grants)), "image")
