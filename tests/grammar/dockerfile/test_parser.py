from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings

from pybuild.grammar.dockerfile.parser import MAX_STAGES, parse, parse_change, parse_prefix, parse_trigger
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Copy, Env, Onbuild, Run
from pybuild.grammar.source import Source, Span
from tests.grammar.dump import dump
from tests.grammar.texts import dockerfiles

_CASES = Path(__file__).parents[3] / "testdata" / "dockerfiles"


@pytest.mark.parametrize("case", sorted(path.name for path in _CASES.iterdir()))
def test_dockerfile_reads_as_the_golden_file_says(case: str) -> None:
    directory = _CASES / case
    expected = {path.name for path in directory.iterdir()} - {"Dockerfile"}
    source = Source("Dockerfile", (directory / "Dockerfile").read_bytes().decode(errors="surrogateescape"))

    name, text = _outcome(source)

    assert expected == {name}
    assert (directory / name).read_text() == text


def _outcome(source: Source) -> tuple[str, str]:
    try:
        return "ast.txt", dump(parse(source), source)
    except DockerfileError as error:
        return "error.txt", error.render(source) + "\n"


def test_trigger_stands_where_its_base_image_is_named() -> None:
    span = Span(5, 11)

    instruction = parse_trigger('COPY --from=a ["b c", "$d"] /e', span)
    run = parse_trigger("RUN <<-EOF\n\ta\nEOF", span)

    assert isinstance(instruction, Copy)
    assert {instruction.span, *(word.span for word in instruction.sources), instruction.destination.span} == {span}
    assert isinstance(run, Run)
    assert run.heredocs[0].body == "a\n"


def test_trigger_is_read_with_the_escape_of_its_file() -> None:
    instruction = parse_trigger("ENV A=b` c", Span(0, 1), "`")

    assert isinstance(instruction, Env)
    assert instruction.pairs[0][1].text == "b` c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "onbuild trigger should be a single expression"),
        ("# comment", "onbuild trigger should be a single expression"),
        ("USER a\nUSER b", "onbuild trigger should be a single expression"),
        ("ONBUILD USER a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("from scratch", "FROM isn't allowed as an ONBUILD trigger"),
        ("MAINTAINER a", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("RUN <<EOF\na", "unterminated heredoc"),
        ("NONSENSE", "unknown instruction: NONSENSE"),
        ("COPY --form=a b c", "unknown flag: --form"),
        ("USER a\0", "invalid character NUL"),
    ],
)
def test_wrong_trigger_is_refused_at_the_place_given(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_trigger(text, Span(5, 11))

    assert (caught.value.message, caught.value.span) == (message, Span(5, 11))


@pytest.mark.parametrize("text", ["ONBUILD RUN x", "USER a", "LABEL a=b"])
def test_instruction_that_stands_alone_may_be_a_trigger(text: str) -> None:
    assert parse_change(text, Span(0, 1)).original == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("USER a\nUSER b", "expected a single instruction"),
        ("ONBUILD ONBUILD USER a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("NONSENSE", "unknown instruction: NONSENSE"),
    ],
)
def test_wrong_instruction_that_stands_alone_is_refused(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_change(text, Span(5, 11))
    assert (caught.value.message, caught.value.span) == (message, Span(5, 11))


def test_number_of_stages_is_limited() -> None:
    parse(Source("Dockerfile", "FROM a\n" * MAX_STAGES))

    with pytest.raises(DockerfileError, match="more than 1000 stages"):
        parse(Source("Dockerfile", "FROM a\n" * (MAX_STAGES + 1)))


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\n" + "ENV A=" + "'\"" * 30_000,
        "FROM a\nRUN " + "[" * 60_000,
        "FROM a\nRUN " + '["a",' * 12_000,
        "FROM a\nRUN --mount=" + '\\"' * 30_000 + " a",
        "FROM a\nRUN " + "<< " * 20_000,
        "FROM a\nCOPY " + "<<a " * 10_000 + "b",
        "FROM a\nRUN <<X " + "${a:-" * 10_000,
        "FROM a\nONBUILD " + "ONBUILD " * 7_000,
        "FROM a\n" + "\\\n" * 100_000,
        "FROM a\nRUN a" + "\\\n# b\n\n" * 30_000,
    ],
)
def test_hostile_text_is_read_or_refused(text: str) -> None:
    name, _ = _outcome(Source("Dockerfile", text))

    assert name in {"ast.txt", "error.txt"}


@settings(max_examples=400)
@given(dockerfiles)
def test_any_text_is_a_tree_or_a_located_error(text: str) -> None:
    source = Source("Dockerfile", text)

    _, shown = _outcome(source)

    assert shown.endswith("\n")
    assert all(0 <= span.start <= span.end <= len(text) for span in _spans(_tree_or_place(source)))


def _tree_or_place(source: Source) -> object:
    try:
        return parse(source)
    except DockerfileError as error:
        return error.span


@settings(max_examples=200)
@given(dockerfiles)
def test_triggers_of_a_file_can_be_read_again(text: str) -> None:
    try:
        dockerfile = parse(Source("Dockerfile", text))
    except DockerfileError:
        return
    for instruction in dockerfile.instructions:
        if isinstance(instruction, Onbuild):
            again = parse_trigger(instruction.trigger, instruction.span, dockerfile.escape)
            assert instruction.trigger.startswith(again.original)


def _spans(value: object) -> Iterator[Span]:
    if isinstance(value, Span):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _spans(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _spans(getattr(value, field.name))


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("", 0, "the Dockerfile cannot be empty"),
        ("# nothing\n", 0, "file with no instructions"),
        ("FROM a\nRUN <<E\n", 0, "unterminated heredoc"),
        ("FROM a\nUSER b\nBAD\nUSER c\n", 2, "unknown instruction: BAD"),
        ("ARG a\n", 1, "dockerfile contains no stages to build"),
    ],
)
def test_what_stands_before_a_mistake_can_be_had(text: str, count: int, message: str) -> None:
    dockerfile, mistake = parse_prefix(Source("Dockerfile", text))
    assert (len(dockerfile.instructions), mistake and mistake.message) == (count, message)


def test_a_file_without_mistakes_is_its_own_prefix() -> None:
    source = Source("Dockerfile", "FROM a\nUSER b\n")
    assert parse_prefix(source) == (parse(source), None)
