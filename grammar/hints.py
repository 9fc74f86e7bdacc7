"""Hints for mistakes with Docker's messages, which have none."""

from typing import get_args

from pybuild.grammar.nodes import Instruction

FORMS = {kind.__name__.lower(): kind.FORM for kind in get_args(Instruction)}
"""The form of each instruction, by its name in lower case."""

SUBSTITUTIONS = "${v} ${v:-word} ${v:+word} ${v:?text} ${v#pattern} ${v%pattern} ${v/pattern/text}"
TRIGGER = "a trigger is one instruction, but not FROM, MAINTAINER or ONBUILD"
STAGE_NAME = "use a letter, followed by letters, digits, - _ and ."


def form(keyword: str) -> str:
    """Return the hint with the form of the instruction *keyword* (lower case)."""
    return f"write {FORMS[keyword]}"


def brace(escape: str) -> str:
    """Return the hint for a substitution without an end or a name."""
    return f"write ${{name}}, or {escape}$ for a dollar sign"


def quote_mark(mark: str, escape: str) -> str:
    """Return the hint for a quotation *mark* that no other one follows."""
    return f"close it, or write {escape}{mark} for a quotation mark" if mark == '"' else "close it with another one"
