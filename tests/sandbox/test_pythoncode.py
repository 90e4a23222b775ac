"""What `code` takes for the same program, and for none."""

import pytest

from sandbox.pythoncode import LARGEST, code

FUNCTION = 'def kept(names):\n    """Doc."""\n    return names[-COUNT:]\n'
PROGRAM = f"import sys\n\n\n{FUNCTION}\n\nprint(kept(sys.argv))\n"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (PROGRAM, True),
        (PROGRAM.replace("-COUNT:", " - COUNT :  "), True),
        (PROGRAM.replace("    ", "  "), True),
        (PROGRAM.replace("import sys\n", "import sys  # the arguments\n\n"), True),
        (PROGRAM.replace('"""Doc."""', '"""What is kept."""'), True),
        (PROGRAM.replace("names[-COUNT:]", "(\n        names[-COUNT:]\n    )"), False),
        (PROGRAM.replace("-COUNT", "1 - COUNT"), False),
        (PROGRAM + "pass\n", False),
    ],
)
def test_layout_makes_no_difference_and_all_else_does(text: str, same: bool) -> None:
    assert (code(text) == code(PROGRAM)) == same


def test_a_part_is_found_in_the_whole() -> None:
    assert code(FUNCTION.replace("return", "return  ")) in code(PROGRAM)
    assert code(FUNCTION.replace("-COUNT", "COUNT")) not in code(PROGRAM)
    assert code("def kept(names):\n  'Doc.'\n  x = 1") in code("def kept(names):\n x = 1\n y = 2\n")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "x = (\n", "  x\n y\n", "x" * (LARGEST + 1), '"""open']
)
def test_what_is_no_program_says_nothing(text: str) -> None:
    assert code(text) == ""


@pytest.mark.parametrize("text", ["(" * 9999, "\0", "-" * 99_999 + "1", "é\ud800", "if x:\n" * 99])
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(code(text), str)
