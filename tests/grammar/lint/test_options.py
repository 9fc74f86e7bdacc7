import pytest

from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.options import CheckOptions, check_of, comment_options, counted, file_options, parse_options
from pybuild.grammar.lint.rules import FROM_AS_CASING, INVALID_DEFINITION_DESCRIPTION, STAGE_NAME_CASING, Violation
from pybuild.grammar.source import Source, Span


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", CheckOptions()),
        ("  ", CheckOptions()),
        ("skip=A", CheckOptions(skip=frozenset({"A"}))),
        (" skip = A , B ; error = true ", CheckOptions(skip=frozenset({"A", "B"}), error=True)),
        ("error=F;experimental=X", CheckOptions(experimental=frozenset({"X"}))),
        (
            "skip=all;experimental=all;error=1",
            CheckOptions(skip=frozenset({"all"}), experimental=frozenset({"all"}), error=True),
        ),
        ("skip=", CheckOptions()),
        # Three parts at most: the rest belongs to the third.
        (
            "skip=A;error=1;experimental=B;C",
            CheckOptions(skip=frozenset("A"), experimental=frozenset({"B;C"}), error=True),
        ),
    ],
)
def test_options_are_read_as_by_buildkit(text: str, expected: CheckOptions) -> None:
    assert parse_options(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("nonsense", 'failed to parse check options: invalid check option "nonsense"', "options are"),
        ("skpi=A", 'failed to parse check options: invalid check option "skpi"', 'did you mean "skip"?'),
        (
            "error=maybe",
            'failed to parse check options: failed to parse check option "error=maybe"',
            "write error=true",
        ),
    ],
)
def test_what_is_no_option_is_refused_with_the_way_out(text: str, message: str, hint: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_options(text, Span(2, 5))
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)
    assert caught.value.span == Span(2, 5)


def test_experimental_rules_are_off_until_asked_for() -> None:
    rule = INVALID_DEFINITION_DESCRIPTION
    assert not CheckOptions().counts(rule)
    assert parse_options(f"skip=all;experimental={rule.name}").counts(rule)
    assert parse_options("experimental=all").counts(rule)
    assert not parse_options(f"experimental=all;skip={rule.name}").counts(rule)
    assert not parse_options("skip=all").counts(FROM_AS_CASING)


def test_the_directive_of_a_file_may_be_overridden() -> None:
    dockerfile = parse(Source("Dockerfile", "# syntax=x\n# check=skip=A\nFROM scratch\n"))
    assert file_options(dockerfile).skip == {"A"}
    assert file_options(dockerfile, "error=true") == CheckOptions(error=True)
    assert file_options(parse(Source("Dockerfile", "FROM scratch\n"))) == CheckOptions()


def test_a_comment_counts_up_to_its_first_space_and_is_no_mistake() -> None:
    assert comment_options("text\ncheck=skip=A,B because of C\ncheck=skip=D").skip == {"A", "B"}
    assert comment_options("check=nonsense") == CheckOptions()
    assert comment_options("") == CheckOptions()
    assert check_of("checked = yes") is None


def test_a_comment_makes_no_errors_of_warnings() -> None:
    assert not CheckOptions().merged(parse_options("error=true")).error
    assert CheckOptions(error=True).merged(CheckOptions()).error


def test_violations_count_once_and_in_the_order_of_the_file() -> None:
    dockerfile = parse(Source("Dockerfile", "FROM a\n# check=skip=StageNameCasing\nRUN b\n"))
    first = Violation(rule=STAGE_NAME_CASING, message="m", span=Span(0, 6))
    second = Violation(rule=FROM_AS_CASING, message="m", span=Span(37, 42))
    skipped = Violation(rule=STAGE_NAME_CASING, message="m", span=Span(37, 42))
    assert counted([second, first, skipped, second], dockerfile, CheckOptions()) == (first, second)
