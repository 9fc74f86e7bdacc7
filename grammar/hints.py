"""Hints for mistakes whose messages are Docker's and name none."""

from typing import get_args

from pybuild.grammar.nodes import Instruction

FORMS = {kind.__name__.lower(): kind.FORM for kind in get_args(Instruction)}
"""How each instruction is written, by its name in lower case."""

SUBSTITUTIONS = "${v} ${v:-word} ${v:+word} ${v:?text} ${v#pattern} ${v%pattern} ${v/pattern/text}"
TRIGGER = "a trigger is one instruction, and none of FROM, MAINTAINER and ONBUILD"
STAGE_NAME = "begin with a letter and go on with letters, digits, - _ and ."


def form(keyword: str) -> str:
    """Return the hint at how the instruction *keyword* (lower case) is written."""
    return f"write {FORMS[keyword]}"


def brace(escape: str) -> str:
    """Return the hint for a substitution that does not end, or has no name."""
    return f"write ${{name}}, or {escape}$ for a dollar sign"


def quote_mark(mark: str, escape: str) -> str:
    """Return the hint for a quotation *mark* that no other one follows."""
    return f"close it, or write {escape}{mark} for a quotation mark" if mark == '"' else "close it with another one"
