"""An edition: one product as data, read strictly from a TOML file under `gesso/editions` or anywhere else."""

from gesso.catalog.editions.edition import BUILT, MODULES, Brand, Defaults, Edition, Face, Policy
from gesso.catalog.editions.loader import edition_names, load_edition, parse_edition
from gesso.catalog.editions.tables import EditionError, Problem

__all__ = [
    "BUILT", "MODULES", "Brand", "Defaults", "Edition", "EditionError", "Face", "Policy", "Problem",
    "edition_names", "load_edition", "parse_edition",
]  # fmt: skip
