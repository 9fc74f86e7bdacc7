"""ONBUILD triggers where they run."""

import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.stages.triggers import naming_trigger, parsed
from pybuild.grammar import nodes
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Span

_SPAN = Span(5, 9)


def test_triggers_are_parsed_in_order_with_the_span_of_their_from() -> None:
    found = parsed(["RUN make", "COPY . /src"], _SPAN)
    assert [type(node) for node in found] == [nodes.Run, nodes.Copy]
    assert {node.span for node in found} == {_SPAN}


def test_a_mistake_names_the_trigger() -> None:
    with pytest.raises(DockerfileError) as caught:
        parsed(["RUN make", "COPY x"], _SPAN)
    assert "COPY x" in caught.value.hint
    assert caught.value.span == _SPAN


def test_a_hint_that_there_is_stays_behind_the_trigger() -> None:
    with pytest.raises(ResolveError) as caught, naming_trigger("RUN make"):
        raise ResolveError("no", hint="do that")
    assert "RUN make" in caught.value.hint
    assert caught.value.hint.endswith("; do that")


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ValueError, match=r"^no$"), naming_trigger("RUN make"):
        raise ValueError("no")
