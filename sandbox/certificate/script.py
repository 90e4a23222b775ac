"""The probes as one script that runs in a box where nothing of this project is installed."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path

from sandbox.certificate.inside import battery
from sandbox.certificate.inside.setup import Setup

_PACKAGE = battery.__name__.rpartition(".")[0]
# Each after what it imports.
_MODULES = (
    "setup",
    "kernel",
    "privileges",
    "files",
    "devices",
    "namespaces",
    "calls",
    "sockets",
    "wire",
    "network",
    "limits",
    "leaks",
    "battery",
)
# Modules from text, under their own names: imports among them find each other in sys.modules.
_LOADER = """
import json, sys, types
told = json.load(sys.stdin)
package = sys.modules[told["package"]] = types.ModuleType(told["package"])
for name, source in told["modules"]:
    full = told["package"] + "." + name
    module = sys.modules[full] = types.ModuleType(full)
    setattr(package, name, module)
    exec(compile(source, name, "exec"), module.__dict__)
package.battery.main(told["setup"], told["wanted"])
"""

COMMAND = ["python3", "-I", "-S", "-c", _LOADER]
"""What to run in the box; `script` makes its standard input."""


@cache
def _sources() -> list[tuple[str, str]]:
    folder = Path(battery.__file__).parent
    return [(name, (folder / f"{name}.py").read_text()) for name in _MODULES]


def script(setup: Setup, wanted: Collection[str] | None = None) -> str:
    """Standard input for `COMMAND`.

    Args:
        setup: What to tell the probes.
        wanted: Names of the probes to run; all when None.
    """
    told = setup._asdict()
    if setup.neighbour is not None:
        told["neighbour"] = setup.neighbour._asdict()
    chosen = None if wanted is None else sorted(wanted)
    return json.dumps({"package": _PACKAGE, "modules": _sources(), "setup": told, "wanted": chosen})
