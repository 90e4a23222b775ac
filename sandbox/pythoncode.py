"""What a Python program says, apart from how it is laid out; for verifiers of main tasks. Pure.

A tool that was to be mended is compared with the one that lay there, without running it: what an
agent leaves is never run in the harness.
"""

from __future__ import annotations

import io
import tokenize

LARGEST = 1 << 18
"""Characters of the longest text that counts as a program."""
_LAYOUT = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER})
_BLOCKS = frozenset({tokenize.INDENT, tokenize.DEDENT})


def code(text: str) -> str:
    """Reduce a program to its tokens, one a line.

    Comments, docstrings, blank space and empty lines make no difference. A part of a program, such
    as a function, is reduced to a part of what the whole is reduced to.

    Args:
        text: The program.

    Returns:
        The tokens; nothing where the text is no program, or too large for one.
    """
    if len(text) > LARGEST:
        return ""
    said: list[str] = []
    line: list[tokenize.TokenInfo] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in _BLOCKS:  # how deep is not said by how many blanks
                said.append(tokenize.tok_name[token.type])
            elif token.type == tokenize.NEWLINE:
                if not all(one.type == tokenize.STRING for one in line):
                    said += [one.string for one in line] + ["NEWLINE"]
                line = []
            elif token.type not in _LAYOUT:
                line.append(token)
    except (tokenize.TokenError, SyntaxError):
        return ""
    while said and said[-1] == "DEDENT":  # a part may end inside a block
        said.pop()
    return "\n".join(said)
