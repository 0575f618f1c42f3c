"""How a class of settings is read from the environment, and what is said when that fails."""

from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Some = TypeVar("Some", bound=BaseSettings)


class SettingsError(Exception):
    """A setting is missing or cannot be used. The text names the variable and the way out."""


def prefixed(prefix: str) -> SettingsConfigDict:
    """How a class of settings is read: its fields' names in the environment begin with `prefix`; empty means unset."""
    return SettingsConfigDict(env_prefix=prefix, extra="ignore", frozen=True, env_ignore_empty=True)


def env_name(owner: type[BaseSettings], name: str) -> str:
    """The environment variable of a field, in upper case."""
    alias = owner.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{owner.model_config.get('env_prefix', '')}{name}".upper()


def read_settings(owner: type[Some], **given: Any) -> Some:
    """One class of settings from the environment. Raises SettingsError."""
    try:
        return owner(**given)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # several settings that do not go together: the sentence names them
            raise SettingsError(first["msg"].removeprefix("Value error, ")) from None
        variable = str(first["loc"][0])
        shown = env_name(owner, variable) if variable in owner.model_fields else variable.upper()
        raise SettingsError(f"{shown}: {first['msg'].removeprefix('Value error, ')}.") from None


def web_address(value: str | None, example: str) -> str | None:
    """An http(s) address without a slash at its end, for validators. Raises ValueError naming the example."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"must be an address such as {example}")
    return value.rstrip("/")
