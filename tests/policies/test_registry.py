"""A spec is resolved, or it is an error that names what would have been right."""

import pytest

from policies.monitors import monitors
from policies.protocols import protocols
from policies.registry import Spec, SpecError


def test_every_protocol_and_monitor_of_the_first_release_is_there() -> None:
    assert protocols.names() == (
        "defer_to_resample",
        "defer_to_trusted",
        "none",
        "trusted_monitoring",
    )
    assert monitors.names() == ("prompted", "rules")


def test_a_bare_name_takes_the_defaults() -> None:
    found = protocols.resolve("defer_to_resample")
    assert found.arguments == {"threshold": 0.5, "audit": 0.8, "draws": 3}
    assert found.roles == {"monitor", "trusted"}


def test_a_mapping_takes_arguments() -> None:
    found = protocols.resolve({"name": "trusted_monitoring", "threshold": 0.25})
    assert found.arguments == {"threshold": 0.25}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("trust_me", "defer_to_resample, defer_to_trusted, none, trusted_monitoring"),
        ({"threshold": 0.5}, "needs a name"),
        ({"name:none": None}, "a space after each colon"),
        ({"name": None}, "unknown protocol None"),
        ({"name": "none", "threshold": 0.5}, "its arguments are none"),
        ({"name": "trusted_monitoring", "treshold": 0.5}, "its arguments are threshold"),
        ({"name": "trusted_monitoring", "threshold": 1.5}, "less than or equal to 1"),
        ({"name": "trusted_monitoring", "threshold": -0.1}, "greater than or equal to 0"),
        # A budget in percent is not silently a fraction.
        ({"name": "trusted_monitoring", "threshold": "1%"}, "valid number"),
        ({"name": "defer_to_resample", "draws": 1}, "greater than or equal to 2"),
        ({"name": "defer_to_trusted", "threshold": 0.9, "audit": 0.5}, "at least threshold"),
    ],
)
def test_a_wrong_spec_is_one_line_that_says_what_is_right(spec: Spec, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        protocols.resolve(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
