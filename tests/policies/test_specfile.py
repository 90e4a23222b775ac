"""Specs and protocols from files: the library, a user's YAML, a user's Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.protocols import protocols
from policies.registry import SpecError
from policies.specfile import LIBRARY


@pytest.fixture(autouse=True)
def nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests' files register is gone after each."""
    monkeypatch.setattr(protocols, "_entries", dict(protocols._entries))


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_library_is_found_by_name_and_says_its_source(path: Path) -> None:
    assert protocols.resolve(path.stem).name in protocols.names()
    assert "arXiv" in path.read_text()


def test_what_is_given_beside_a_library_name_goes_first() -> None:
    found = protocols.resolve({"name": "ctrlz_defer_to_resample", "draws": 5})
    assert found.arguments["draws"] == 5
    assert found.arguments["audit"] == 0.99


def test_a_users_own_file_with_another_inside(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("title: Mine\nname: egress_budget\nlimit: 10\ninner: ctrlz_time_travel\n")
    found = protocols.resolve(str(file))
    assert found.spec["limit"] == 10
    assert found.spec["inner"]["name"] == "time_travel"
    assert found.roles == {"monitor", "trusted"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: [unclosed\n", 2, "not YAML"),
        ("\n\nname: none\n\t- x\n", 4, "not YAML"),
        ("- none\n", 1, "needs the key `name`"),
        ("", 1, "needs the key `name`"),
        ("threshold: 0.5\n", 1, "needs the key `name`"),
        ("name: null\n", 1, "needs the key `name`"),
        ("title: x\nname: trust_me\n", 2, "unknown protocol 'trust_me'"),
        ("name: none\nthreshold: 1\n", 2, "its arguments are none"),
        ("name: two_stage\n# more\ndraws: 1\n", 3, "draws=1"),
        ("name: two_stage\ndraws: 3\ndraws: 4\n", 3, "'draws' is given twice"),
        ("name: egress_budget\ninner:\n  name: two_stage\n  drows: 1\n", 4, "argument 'drows'"),
        ("name: egress_budget\ninner:\n  name: two_stage\n  draws: 1\n", 4, "draws=1"),
        (
            "name: trusted_monitoring\nthreshold:\n  budget: 0.5\n  honest:\n  - 0.1\n  - 7\n",
            6,
            "less than or equal to 1",
        ),
        ("name: trusted_monitoring\nthreshold: 2026-13-40\n", 1, "not YAML"),
        ("name: defer_to_trusted\nthreshold: 0.9\n", 1, "at least threshold"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    text: str, line: int, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        protocols.resolve(str(file))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        protocols.resolve(str(tmp_path / "none.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="not text in UTF-8"):
        protocols.resolve(str(binary))


def test_a_file_that_leads_back_to_itself(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(f"name: egress_budget\ninner: {two}\n")
    two.write_text(f"name: human_approval\ninner: {one}\n")
    with pytest.raises(SpecError, match="leads back to itself"):
        protocols.resolve(str(one))


MINE = '''"""Mine."""

from policies.protocols import Threshold, protocol
from policies.turn import ControlProtocol, Turn, Verdict, execute


@protocol()
def {name}(threshold: Threshold = 0.5) -> ControlProtocol:
    """Let everything pass."""

    async def decide(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        return execute(first)

    return decide
'''


def test_a_users_own_python_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE.format(name="mine_of_a_user"))
    for _ in range(2):  # a file is imported once, and found again
        found = protocols.resolve({"name": f"{file}@mine_of_a_user", "threshold": 0.1})
        assert found.arguments == {"threshold": 0.1}
    assert protocols.entry("mine_of_a_user").source == "Mine."


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (MINE.format(name="none"), "none", "protocol none is there already"),
        (MINE.format(name="another_of_a_user"), "typo", "the file has no protocol 'typo'"),
        ("import no_such_module_here", "x", "ModuleNotFoundError"),
        ("x = (", "x", "SyntaxError"),
        (None, "x", "no such Python file: use FILE.py@NAME"),
    ],
)
def test_a_python_file_that_cannot_be_used(
    text: str | None, name: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "broken.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SpecError) as caught:
        protocols.resolve(f"{file}@{name}")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_built_in_is_not_taken_for_one_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "empty.py"
    file.write_text("")
    with pytest.raises(SpecError, match="the file has no protocol 'none'"):
        protocols.resolve(f"{file}@none")
