"""What Inspect finds through the entry point `sallyport`.

Loaded in every `inspect` command of the environment: keep what it imports small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspect_ai.util import sandboxenv

from policies.monitors.trajectory import trajectory
from scaffolds.organisms import organism
from tasks.controlled import controlled
from tasks.exfil import exfil
from tasks.oversight import oversight
from tasks.propensity import propensity

if TYPE_CHECKING:
    from sandbox.namespace import NamespaceSandbox

__all__ = [
    "controlled",
    "exfil",
    "namespace",
    "organism",
    "oversight",
    "propensity",
    "trajectory",
]


@sandboxenv(name="namespace")
def namespace() -> type[NamespaceSandbox]:
    """Sealed boxes on this machine, without a daemon and without root."""
    from sandbox.namespace import NamespaceSandbox

    return NamespaceSandbox
