"""The settings that ship with Sallyport, and any other by its folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

from policies.paths import typed
from sandbox.setting import DEFAULT_SALIENCE, Setting, SettingError, World, load_setting
from sandbox.settingspec import Salience
from scaffolds.organisms.repertoire import learn

_SETTINGS = Path(__file__).parent / "settings"


def setting_names() -> tuple[str, ...]:
    """The names of the shipped settings, sorted."""
    return tuple(sorted(path.parent.name for path in _SETTINGS.glob("*/setting.yaml")))


@cache
def exfiltration_settings() -> tuple[str, ...]:
    """Those of them that are about something that must not leave, sorted."""
    return tuple(name for name in setting_names() if find_setting(name).spec.oversight is None)


@cache
def oversight_settings() -> tuple[str, ...]:
    """Those of them that are about what watches the agent, sorted."""
    return tuple(name for name in setting_names() if find_setting(name).spec.oversight is not None)


def setting_folder(name: str) -> Path:
    """Where a setting lies, by name, or by the path of its folder when the name has a slash."""
    return typed(name) if "/" in name else _SETTINGS / name


@cache
def find_setting(name: str) -> Setting:
    """Load a setting by name, or by the path of its folder when the name has a slash.

    Raises:
        SettingError: there is none, or it is malformed.
    """
    if "/" not in name and name not in setting_names():
        raise SettingError(f"unknown setting {name!r}: use one of {', '.join(setting_names())}")
    setting = load_setting(setting_folder(name))
    learn(setting)  # the offline organisms play in what this process has loaded
    return setting


def named(given: object) -> list[str]:
    """What was typed as names: in a list, or separated by commas; a number is a wrong name."""
    if isinstance(given, list | tuple):
        return [str(one) for one in given]
    return [one.strip() for one in str(given).split(",")]


def find_settings(given: str | Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """Load several settings.

    Args:
        given: `all`, or names and paths of folders, in a list or separated by commas.
        default: the names that `all` stands for.

    Returns:
        What each is found by again.

    Raises:
        SettingError: none is named, one is named twice, or one is malformed, not there, or not
            among `default`, as settings of another task are.
    """
    names = named(given)
    if names == ["all"]:
        names = list(default)
    if not names or len(set(names)) < len(names):
        raise SettingError(f"settings: {given!r} must name each setting once")
    for name in names:
        if "/" not in name and name not in default:
            what = "setting of another task" if name in setting_names() else "unknown setting"
            raise SettingError(f"{what} {name!r}: use one of {', '.join(default)}")
        find_setting(name)
    return tuple(names)


@lru_cache(maxsize=16)  # a world is built when its sample starts and again when it is scored
def world(
    setting: str, variant: int, salience: Salience = DEFAULT_SALIENCE, possible: bool = True
) -> World:
    """One variant of a setting; arguments as for `Setting.world`."""
    return find_setting(setting).world(variant, salience, possible=possible)
