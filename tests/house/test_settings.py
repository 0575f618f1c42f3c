"""Settings are documented, typed, and refuse what cannot work."""

from pathlib import Path

import pytest

from gesso.core.settings import SETTINGS_CLASSES, SettingsError, env_name, load_settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    rows = {line.split("|")[1].strip().strip("`"): line for line in text.splitlines() if line.startswith("| `")}
    for owner in SETTINGS_CLASSES:
        for name, field in owner.model_fields.items():
            variable = env_name(owner, name)
            assert variable in rows, f"{variable} is missing in docs/settings.md; run: python docs/settings.py"
            if field.default is not None:
                assert f"`{field.default}`" in rows[variable], f"the default of {variable} is not true any more"
    known = {env_name(owner, name) for owner in SETTINGS_CLASSES for name in owner.model_fields}
    assert set(rows) - known == set()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GESSO_PORT", "99999"),
        ("GESSO_PORT", "eighty"),
        ("GESSO_ENV", "prod"),
        ("GESSO_BASE_URL", "example.com"),
        ("GESSO_WORKER_CONCURRENCY", "0"),
    ],
)
def test_an_unusable_value_stops_the_start_and_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("GESSO_DATA_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=variable):
        load_settings()


@pytest.mark.parametrize("secret", [None, "changeme", "short"])
def test_production_refuses_a_weak_or_missing_secret(
    secret: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GESSO_ENV", "production")
    monkeypatch.setenv("GESSO_DATA_DIR", str(tmp_path))
    if secret is None:
        monkeypatch.delenv("GESSO_SECRET_KEY", raising=False)
    else:
        monkeypatch.setenv("GESSO_SECRET_KEY", secret)
    with pytest.raises(SettingsError, match="GESSO_SECRET_KEY"):
        load_settings()


def test_a_development_secret_is_made_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GESSO_SECRET_KEY", raising=False)
    monkeypatch.setenv("GESSO_ENV", "development")
    monkeypatch.setenv("GESSO_DATA_DIR", str(tmp_path))
    first, second = load_settings(), load_settings()
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert first.secret_key not in repr(first)
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
