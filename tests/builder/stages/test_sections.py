"""The sections of a Dockerfile, and what a FROM may refer to."""

import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.stages.contexts import Contexts
from pybuild.builder.stages.sections import Section, heads_of, last_named, sections_of, similar_stage
from pybuild.builder.stages.stages import FromImage, FromScratch, FromStage
from pybuild.grammar.dockerfile.parser import parse
from tests.helpers.resolving import source_of


def _sections(text: str, **scope: str) -> tuple[Section, ...]:
    return sections_of(parse(source_of(text)), scope, Contexts())


def test_a_section_has_the_instructions_up_to_the_next_from() -> None:
    first, second = _sections("FROM a AS one\nENV a=1\nENV b=1\nFROM scratch\nENV c=1\n")
    assert (len(first.body), len(second.body)) == (2, 1)
    assert (first.label, second.label) == ("one", "stage-1")
    assert isinstance(first.base, FromImage)
    assert second.base == FromScratch()


def test_a_base_is_an_earlier_stage_before_it_is_an_image() -> None:
    bases = [section.base for section in _sections("FROM one AS one\nFROM ONE AS two\nFROM two\n")]
    assert bases[1:] == [FromStage(0), FromStage(1)]
    assert isinstance(bases[0], FromImage)


def test_of_stages_with_one_name_the_last_one_counts() -> None:
    heads = heads_of(_sections("FROM a AS one\nFROM b AS one\nFROM c\n"))
    assert (last_named(heads, "One"), last_named(heads, "two")) == (1, None)


def test_a_misspelled_stage_is_found_and_others_are_not() -> None:
    sections = _sections("FROM a AS builder\nFROM b\n")
    assert [similar_stage(sections, text) for text in ("Bulider", "builder", "runtime")] == ["builder", None, None]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("oci:/dir", "use a layout with --build-context"),
        ("Alpine", "write the name in lower case"),
        ("$NAME", "$NAME is not a valid name of an image after its variables are expanded"),
        ("a::b", "write it as NAME:TAG"),
        ("builde/", 'did you mean the stage "builder"?'),
    ],
)
def test_what_is_no_name_of_an_image_has_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ResolveError, match="failed to parse stage name") as caught:
        _sections(f"ARG NAME=A/B\nFROM a AS builder\nFROM {name}\n", NAME="A/B")
    assert hint in caught.value.hint
