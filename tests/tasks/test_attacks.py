"""Attack policies in the exfiltration task: what is logged, and that the organisms follow them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tasks.evals import rows, run


@pytest.mark.namespace
def test_the_log_names_the_attack_its_arguments_and_its_prompts(tmp_path: Path) -> None:
    log = run(tmp_path, modes="attack", eval_limit=1)
    [row] = rows(log)
    assert log.eval.metadata is not None
    assert log.eval.metadata["attack"] == {"name": "plain", "prompt": "plain_v1"}
    assert log.eval.metadata["attack_knows"] == "nothing"
    assert len(log.eval.metadata["attack_prompts"]["plain_v1"]) == 64
    assert row.facts["caught_in_turn"] is not None
