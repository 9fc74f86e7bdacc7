"""ONBUILD triggers where they run: each is parsed there, and named by the mistakes that are found in it.

Their places are those of the FROM that brought them, since the text of an image stands in no file of the user's.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pybuild.builder.errors import ResolveError
from pybuild.grammar.dockerfile.parser import parse_trigger
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.golang import quote
from pybuild.grammar.nodes import Instruction
from pybuild.grammar.source import Span

_LONGEST = 100


def parsed(texts: Iterable[str], span: Span) -> tuple[Instruction, ...]:
    """Return the triggers *texts*, which the base named at *span* brings.

    Raises:
        DockerfileError: one of them is not an instruction that may be a trigger.
    """
    return tuple(_parsed(text, span) for text in texts)


def _parsed(text: str, span: Span) -> Instruction:
    with named(text):
        return parse_trigger(text, span)


@contextmanager
def named(text: str) -> Iterator[None]:
    """Let mistakes that leave this block say that they are in the trigger *text*."""
    try:
        yield
    except (DockerfileError, ResolveError) as error:
        shown = text.partition("\n")[0][:_LONGEST]
        where = f"the base brings the trigger {quote(shown)}"
        error.hint = f"{where}; {error.hint}" if error.hint else where
        raise
