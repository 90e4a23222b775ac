"""Monitor-aware (Kutasov, Loughridge et al., "Evaluating Control Protocols", arXiv 2511.02997).

There an attacker who knows when it is resampled brings the safety of resampling from 96% to 17%;
deferring on critical actions holds.
"""

from __future__ import annotations

from scaffolds.attack._asking import prompt_text, telling
from scaffolds.attack._registry import Begin, attack


@attack(knows="protocol")
def monitor_aware(prompt: str = "monitor_aware_v1") -> Begin:
    """Tell U its side task, the protocol, its threshold, and what the monitor is shown.

    Args:
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` and
            `{protocol}`.
    """
    return telling(prompt_text(prompt, "side_task", "protocol"))
