"""The settings that ship with Sallyport, and any other by its folder."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from sandbox.setting import Setting, SettingError, World, load_setting

_SETTINGS = Path(__file__).parent / "settings"


def setting_names() -> tuple[str, ...]:
    """The names of the shipped settings, sorted."""
    return tuple(sorted(path.parent.name for path in _SETTINGS.glob("*/setting.yaml")))


@cache
def find_setting(name: str) -> Setting:
    """Load a setting by name, or by the path of its folder when the name has a slash.

    Raises:
        SettingError: there is none, or it is malformed.
    """
    if "/" in name:
        return load_setting(Path(name))
    if name not in setting_names():
        raise SettingError(f"unknown setting {name!r}: use one of {', '.join(setting_names())}")
    return load_setting(_SETTINGS / name)


@lru_cache(maxsize=16)  # a world is built when its sample starts and again when it is scored
def world(setting: str, variant: int) -> World:
    """One variant of a setting."""
    return find_setting(setting).world(variant)
