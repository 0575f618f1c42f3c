"""Products and prices."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.desk import Desk, required
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.shown import paged
from gesso.sandbox.stripe.store import Obj, new_id

_RECURRING = group(
    "meter trial_period_days usage_type_metered", interval_=form.one("day", "week", "month", "year"),
    interval_count=form.amount, usage_type=form.one("licensed", "metered"),
)  # fmt: skip
_PRODUCT_FOREIGN = "package_dimensions tax_details shippable statement_descriptor"
PRODUCT = group(
    _PRODUCT_FOREIGN, id=form.text, name_=form.text, active=form.flag, description=form.clearable,
    images=form.Each(form.text), metadata=form.metadata, tax_code=form.clearable, unit_label=form.clearable,
    url=form.clearable, expand=form.EXPAND, marketing_features=form.Each(group(name_=form.text)),
    default_price_data=group(
        "currency_options custom_unit_amount unit_amount_decimal", currency_=form.text, unit_amount_=form.amount,
        recurring=_RECURRING, tax_behavior=form.text, metadata=form.metadata,
    ),
)  # fmt: skip
PRODUCT_UPDATE = group(
    _PRODUCT_FOREIGN, name=form.text, active=form.flag, default_price=form.text, description=form.clearable,
    images=form.Each(form.text), metadata=form.metadata, tax_code=form.clearable, unit_label=form.clearable,
    url=form.clearable, expand=form.EXPAND, marketing_features=form.Each(group(name_=form.text)),
)  # fmt: skip
PRODUCTS = group("shippable type url", active=form.flag, ids=form.Each(form.text), **form.PAGE)
PRICE = group(
    "billing_scheme currency_options custom_unit_amount tiers tiers_mode transform_quantity unit_amount_decimal",
    currency_=form.text, unit_amount_=form.amount, product=form.text, active=form.flag, lookup_key=form.text,
    transfer_lookup_key=form.flag, metadata=form.metadata, nickname=form.text, recurring=_RECURRING,
    tax_behavior=form.one("exclusive", "inclusive", "unspecified"), expand=form.EXPAND,
    product_data=group("statement_descriptor tax_details", id=form.text, name_=form.text, active=form.flag,
                       metadata=form.metadata, tax_code=form.text, unit_label=form.text),
)  # fmt: skip
PRICE_UPDATE = group(
    "currency_options", active=form.flag, lookup_key=form.clearable, transfer_lookup_key=form.flag,
    metadata=form.metadata, nickname=form.clearable, tax_behavior=form.text, expand=form.EXPAND,
)  # fmt: skip
PRICES = group(
    active=form.flag, currency=form.text, lookup_keys=form.Each(form.text), product=form.text,
    type=form.one("one_time", "recurring"),
    recurring=group("meter", interval=form.text, usage_type=form.text), **form.PAGE,
)  # fmt: skip


def create_product(desk: Desk, params: Params) -> Obj:
    """POST /v1/products."""
    name = params.get("id") or new_id("prod", 14)
    if desk.store.get(desk.account, name) is not None:
        raise invalid(f"Product already exists with id {name}.", "id", "resource_already_exists")
    now = desk.now(None)
    product = desk.save({
        "id": name, "object": "product", "active": params.get("active", True), "created": now, "default_price": None,
        "description": params.get("description"), "images": params.get("images", []), "livemode": False,
        "marketing_features": params.get("marketing_features", []),
        "metadata": form.merged({}, params.get("metadata", {})), "name": params["name"], "package_dimensions": None,
        "shippable": None, "statement_descriptor": None, "tax_code": params.get("tax_code"), "type": "service",
        "unit_label": params.get("unit_label"), "updated": now, "url": params.get("url"),
    })  # fmt: skip
    if (data := params.get("default_price_data")) is not None:
        product = desk.save(product | {"default_price": _price(desk, data | {"product": name})["id"]})
    desk.tell("product.created", product)
    return product


def update_product(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/products/{id}."""
    product = desk.get(name, "product")
    if price := params.get("default_price"):
        desk.get(price, "price", "default_price")
    new = product | {k: v for k, v in params.items() if k not in ("expand", "metadata")} | {"updated": desk.now(None)}
    if "metadata" in params:
        new["metadata"] = form.merged(product["metadata"], params["metadata"])
    desk.changed("product.updated", product, new)
    return new


def delete_product(desk: Desk, params: Params, name: str) -> Obj:
    """DELETE /v1/products/{id}."""
    product = desk.get(name, "product")
    if desk.find("price", product=name):
        said = "This product cannot be deleted because it has one or more user-created prices."
        raise invalid(said)
    desk.remove(product)
    gone = {"id": name, "object": "product", "deleted": True}
    desk.tell("product.deleted", product)
    return gone


def list_products(desk: Desk, params: Params) -> Obj:
    """GET /v1/products."""
    rows = desk.find("product")
    rows = [row for row in rows if params.get("active") in (None, row["active"])]
    rows = [row for row in rows if not params.get("ids") or row["id"] in params["ids"]]
    return paged(rows, params, "/v1/products")


def create_price(desk: Desk, params: Params) -> Obj:
    """POST /v1/prices."""
    required(params, "product", "product_data")
    if "product_data" in params:
        params = params | {"product": create_product(desk, params["product_data"])["id"]}
    desk.get(params["product"], "product", "product")
    price = _price(desk, params)
    desk.tell("price.created", price)
    return price


def _price(desk: Desk, params: Params) -> Obj:
    recurring = params.get("recurring")
    if recurring is not None:
        if recurring.get("usage_type", "licensed") != "licensed":
            raise invalid("This sandbox models licensed prices only.", "recurring[usage_type]")
        count = recurring.get("interval_count", 1)
        if not 1 <= count <= {"day": 1095, "week": 156, "month": 36, "year": 3}[recurring["interval"]]:
            raise invalid("Invalid interval_count: at most three years.", "recurring[interval_count]")
        recurring = {
            "interval": recurring["interval"], "interval_count": count, "meter": None, "usage_type": "licensed",
            "trial_period_days": None,
        }  # fmt: skip
    currency = params["currency"].lower()
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(f"Invalid currency: {currency}.", "currency")
    price = {
        "id": new_id("price"), "object": "price", "active": params.get("active", True), "billing_scheme": "per_unit",
        "created": desk.now(None), "currency": currency, "custom_unit_amount": None, "livemode": False,
        "lookup_key": None, "metadata": form.merged({}, params.get("metadata", {})),
        "nickname": params.get("nickname"), "product": params["product"], "recurring": recurring,
        "tax_behavior": params.get("tax_behavior", "unspecified"), "tiers_mode": None, "transform_quantity": None,
        "type": "recurring" if recurring else "one_time", "unit_amount": params["unit_amount"],
        "unit_amount_decimal": str(params["unit_amount"]),
    }  # fmt: skip
    _name(desk, price, params)
    return desk.save(price)


def _name(desk: Desk, price: Obj, params: Params) -> None:
    """Give a price its lookup key; another one loses it, if that was asked for."""
    key = params.get("lookup_key")
    holders = [p for p in desk.find("price", lookup_key=key) if p["id"] != price["id"]] if key else []
    for holder in holders:
        if not params.get("transfer_lookup_key"):
            said = f"A price (`{holder['id']}`) already uses that lookup key (`{key}`)."
            raise invalid(said, "lookup_key")
        desk.changed("price.updated", holder, holder | {"lookup_key": None})
    price["lookup_key"] = key


def update_price(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/prices/{id}."""
    price = desk.get(name, "price")
    new = price | {k: params[k] for k in ("active", "nickname", "tax_behavior") if k in params}
    if "metadata" in params:
        new["metadata"] = form.merged(price["metadata"], params["metadata"])
    if "lookup_key" in params:
        _name(desk, new, params)
    desk.changed("price.updated", price, new)
    return new


def list_prices(desk: Desk, params: Params) -> Obj:
    """GET /v1/prices."""
    rows = desk.find("price")
    for name in ("active", "currency", "product", "type"):
        rows = [row for row in rows if params.get(name) in (None, row[name])]
    if keys := params.get("lookup_keys"):
        rows = [row for row in rows if row["lookup_key"] in keys]
    for name, value in (params.get("recurring") or {}).items():
        rows = [row for row in rows if row["recurring"] and row["recurring"][name] == value]
    return paged(rows, params, "/v1/prices")


def usable(desk: Desk, name: str, param: str) -> Obj:
    """A price that can be sold. Raises StripeError."""
    price = desk.get(name, "price", param)
    product = desk.get(price["product"], "product", param)
    if not price["active"]:
        raise invalid("The price specified is inactive. This field only accepts active prices.", param)
    if not product["active"]:
        said = f"The price specified belongs to the inactive product {product['id']}."
        raise invalid(said, param)
    return price
