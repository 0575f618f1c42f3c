"""Pictures by arithmetic: seeded, quick, and good to look at. Needs numpy and Pillow, no model and no network."""

from gesso.sandbox.painter.encode import FORMATS, Format, encode
from gesso.sandbox.painter.film import film
from gesso.sandbox.painter.paint import MAX_SIDE_PX, MIN_SIDE_PX, RECIPES, paint

__all__ = ["FORMATS", "MAX_SIDE_PX", "MIN_SIDE_PX", "RECIPES", "Format", "encode", "film", "paint"]
