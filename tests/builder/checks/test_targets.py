from pybuild.builder.checks.targets import description, document, targets
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.source import Source

TEXT = """\
# build makes it
# text
FROM --platform=$BUILDPLATFORM golang AS Build
FROM $BASE
# not described
FROM scratch AS out
"""


def test_targets_are_the_stages_with_what_their_comments_say() -> None:
    found = targets(parse(Source("Dockerfile", TEXT)))
    assert [(target.title, target.description) for target in found] == [
        ("build", "makes it"),
        ("", ""),
        ("out (default)", ""),
    ]


def test_a_last_stage_without_a_name_is_the_default() -> None:
    assert [target.title for target in targets(parse(Source("Dockerfile", "FROM a\n")))] == ["(default)"]


def test_a_description_begins_with_the_whole_name() -> None:
    assert description("abc x\nab y", "ab") == "y"
    assert description("ab", "ab") == ""
    assert description(" x", "") == ""


def test_the_document_has_the_names_of_buildkit() -> None:
    source = Source("Dockerfile", TEXT)
    first, second, third = document(targets(parse(source)), source)["targets"]
    assert first == {
        "name": "build",
        "description": "makes it",
        "base": "golang",
        "platform": "$BUILDPLATFORM",
        "location": {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]},
    }
    assert second.keys() == {"base", "location"}
    assert third["default"] is True
