"""ONBUILD triggers where they run: each is parsed there, and errors in it quote it.

Their spans are those of the FROM that they come with, because the text of a trigger is in an image, not in a file.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.plan import trigger_phrase
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Instruction
from pybuild.grammar.source import Span


def parsed(texts: Iterable[str], span: Span) -> tuple[Instruction, ...]:
    """Return the parsed triggers *texts* of the base that is named at *span*.

    Raises:
        DockerfileError: one of them is not a valid trigger.
    """
    return tuple(_parsed(text, span) for text in texts)


def _parsed(text: str, span: Span) -> Instruction:
    # Imported here, with lark, because few bases have triggers.
    from pybuild.grammar.dockerfile.parser import parse_trigger

    with naming_trigger(text):
        return parse_trigger(text, span)


@contextmanager
def naming_trigger(text: str) -> Iterator[None]:
    """Add to errors that leave this block that they are in the trigger *text*."""
    try:
        yield
    except (DockerfileError, ResolveError) as error:
        where = trigger_phrase(text)
        error.hint = f"{where}; {error.hint}" if error.hint else where
        raise
