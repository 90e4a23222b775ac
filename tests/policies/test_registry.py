"""A spec is resolved, or it is an error that names what would have been right."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.monitors import monitors
from policies.protocols import protocols
from policies.registry import Spec, SpecError

EVERY_PROTOCOL = (
    "asynchronous_monitoring",
    "block_on_suspicion",
    "defer_on_critical_actions",
    "defer_to_resample",
    "defer_to_trusted",
    "egress_budget",
    "human_approval",
    "none",
    "pool",
    "resample_for_incrimination",
    "stop_on_suspicion",
    "three_strikes",
    "time_travel",
    "trusted_editing",
    "trusted_monitoring",
    "trusted_only",
    "two_stage",
    "untrusted_monitoring",
    "upfront_auditing",
)


def test_every_published_protocol_is_there() -> None:
    assert set(EVERY_PROTOCOL) <= set(protocols.names())
    assert {"cascade", "ensemble", "prompted", "rules", "untrusted"} <= set(monitors.names())


def test_every_file_is_registered_without_being_listed() -> None:
    for registry, folder in ((protocols, "protocols"), (monitors, "monitors")):
        files = (Path(__file__).parents[2] / "policies" / folder).glob("*.py")
        decorated = {
            path.stem
            for path in files
            if not path.name.startswith("_") and f"\n@{folder[:-1]}(" in path.read_text()
        }
        assert decorated <= set(registry.names())


def test_a_bare_name_takes_the_defaults() -> None:
    found = protocols.resolve("defer_to_trusted")
    assert found.arguments == {"threshold": 0.5, "audit": 0.8}
    assert found.roles == {"monitor", "trusted"}


def test_a_mapping_takes_arguments() -> None:
    found = protocols.resolve({"name": "trusted_monitoring", "threshold": 0.25})
    assert found.arguments == {"threshold": 0.25}


def test_the_whole_spec_comes_back_whatever_was_left_out() -> None:
    budget = {"budget": 0.5, "honest": [0.1, 0.2, 0.3]}
    inner = {"name": "trusted_monitoring", "threshold": budget}
    found = protocols.resolve({"name": "egress_budget", "inner": inner})
    assert found.spec["inner"]["threshold"]["schedule"] == "uniform"
    assert protocols.resolve(found.spec).spec == found.spec


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("trust_me", "defer_to_resample, defer_to_trusted, egress_budget"),
        ("trust_me", "from the library ai_control_defer_to_trusted"),
        ("trust_me", "FILE.yaml or FILE.py@NAME"),
        ({"threshold": 0.5}, "needs a name"),
        ({"name:none": None}, "a space after each colon"),
        ({"name": None}, "unknown protocol None"),
        ({"name": "none", "threshold": 0.5}, "its arguments are none"),
        ({"name": "trusted_monitoring", "treshold": 0.5}, "its arguments are threshold"),
        ({"name": "trusted_monitoring", "threshold": 1.5}, "threshold=1.5"),
        ({"name": "trusted_monitoring", "threshold": 1.5}, "less than or equal to 1"),
        ({"name": "trusted_monitoring", "threshold": -0.1}, "greater than or equal to 0"),
        # A budget in percent is not silently a fraction.
        ({"name": "trusted_monitoring", "threshold": "1%"}, "valid number"),
        ({"name": "trusted_monitoring", "threshold": {"budget": 1}}, "threshold.budget=1"),
        ({"name": "trusted_monitoring", "threshold": {"budget": 0.1}}, "threshold.honest"),
        (
            {"name": "trusted_monitoring", "threshold": {"budget": 0.02, "honest": [0.1] * 50}},
            "needs at least 51 honest scores, not 50",
        ),
        (
            {
                "name": "trusted_monitoring",
                "threshold": {
                    "budget": 0.5,
                    "honest": [0.1] * 50,
                    "schedule": "exponential",
                    "tasks": 1000,
                    "rate": 0.1,
                },
            },
            "starts by auditing everything",
        ),
        ({"name": "defer_to_resample", "draws": 1}, "greater than or equal to 2"),
        ({"name": "defer_to_resample", "aggregate": "median"}, "'min', 'mean' or 'max'"),
        ({"name": "defer_to_resample", "aggregate": 2}, "less than or equal to 1"),
        ({"name": "defer_to_trusted", "threshold": 0.9, "audit": 0.5}, "at least threshold"),
        ({"name": "upfront_auditing", "budget": 0.0001}, "does not pay for one sample"),
        ({"name": "defer_on_critical_actions", "critical": ["gold"]}, "'network', 'credentials'"),
        ({"name": "defer_on_critical_actions", "critical": []}, "at least 1 item"),
        ({"name": "egress_budget", "inner": "trust_me"}, "egress_budget, inner: unknown protocol"),
        ({"name": "egress_budget", "inner": 3}, "3 is not a protocol"),
        (
            {"name": "egress_budget", "inner": {"name": "two_stage", "draws": 1}},
            "inner: protocol two_stage: draws=1",
        ),
    ],
)
def test_a_wrong_spec_is_one_line_that_says_what_is_right(spec: Spec, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        protocols.resolve(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", EVERY_PROTOCOL)
def test_every_protocol_names_its_arguments_when_one_is_unknown(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        protocols.resolve({"name": name, "no_such_argument": 1})
    known = ", ".join(protocols.entry(name).arguments.model_fields) or "none"
    assert str(caught.value).endswith(f"its arguments are {known}")
