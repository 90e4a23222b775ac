"""Red: attack policies, which only change what the untrusted model is asked."""

from policies.control import Ask, Attack

__all__ = ["Ask", "Attack"]
