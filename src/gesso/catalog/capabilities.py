"""What a model accepts: `check` for requests, `from_form` for HTML forms, `form_fields` for drawing them."""

from gesso.catalog.checks import check, from_form, label_of
from gesso.catalog.forms import Choice, Field, form_fields

__all__ = ["Choice", "Field", "check", "form_fields", "from_form", "label_of"]
