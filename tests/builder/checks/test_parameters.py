from textwrap import dedent
from typing import Any

from pybuild.builder.checks.parameters import Parameters, document, parameters
from pybuild.builder.request import Planning
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.resolve import global_scope
from pybuild.grammar.dockerfile import parser
from pybuild.grammar.source import Source


def source_of(text: str) -> Source:
    return Source("Dockerfile", dedent(text).lstrip("\n"))


def parameters_of(text: str, **request: Any) -> Parameters:
    asked = Planning(**request)
    dockerfile = parser.parse(source_of(text))
    return parameters(dockerfile, Outline(dockerfile, global_scope(dockerfile, asked), asked.target), asked)


def arguments_of(text: str, **request: Any) -> list[tuple[str, str, str]]:
    return [(item.name, item.value, item.description) for item in parameters_of(text, **request).arguments]


TEXT = """
    # VERSION of the base
    ARG VERSION=1
    ARG FULL=${VERSION}.0
    ARG UNUSED=x
    FROM base:$FULL AS first
    # one is a number
    # two is another
    ARG one=1 two=$one
    FROM scratch AS other
    ARG only_here
    # last is the whole
    FROM first AS last
    ARG VERSION
    ARG TARGETARCH
    ARG one=3
    """


def test_arguments_are_those_that_the_target_and_its_stages_use() -> None:
    assert arguments_of(TEXT) == [
        ("VERSION", "1", "of the base"),
        ("FULL", "1.0", ""),
        ("two", "1", "is another"),
        ("one", "3", ""),
    ]
    assert parameters_of(TEXT).description == "is the whole"


def test_arguments_of_one_line_stay_in_order_and_a_global_one_without_a_value_is_that_of_the_stage() -> None:
    text = "ARG V\nFROM base\nARG B=1 A C\n# V is the version\nARG V\n"
    assert arguments_of(text) == [("B", "1", ""), ("A", "", ""), ("C", "", ""), ("V", "", "is the version")]


def test_a_global_argument_counts_where_it_is_visible_and_has_a_value() -> None:
    assert arguments_of("ARG D\nFROM base${D:+-debug}\n") == []
    assert arguments_of("ARG D\nFROM base AS a\nARG D=1\nFROM base${D:+-debug}\nCOPY --from=a /a /a\n") == [
        ("D", "1", "")
    ]
    assert arguments_of("ARG D=5\nFROM base\nARG G=${D:-4}\n") == [("G", "4", "")]
    assert arguments_of("ARG D=5\nFROM base\nARG D\nARG G=$D\n") == [("D", "5", ""), ("G", "5", "")]


def test_the_target_chooses() -> None:
    assert arguments_of(TEXT, target="other") == [("only_here", "", "")]
    assert ("one", "1", "is a number") in arguments_of(TEXT, target="first")


def test_values_are_those_of_the_build() -> None:
    given = (("VERSION", "2"), ("two", "b"))
    values = {name: value for name, value, _ in arguments_of(TEXT, build_args=given)}
    assert values == {"VERSION": "2", "FULL": "2.0", "one": "3", "two": "b"}


def test_secrets_and_agents_of_all_needed_stages_count_once() -> None:
    found = parameters_of("""
        FROM scratch AS unused
        RUN --mount=type=secret,id=no true
        FROM scratch AS used
        RUN --mount=type=secret,id=a,required=true --mount=type=ssh true
        FROM scratch
        COPY --from=used / /
        RUN --mount=type=secret,target=/etc/b --mount=type=secret,id=a true
        RUN --mount=type=ssh,id=work,required true
        """)
    assert {(item.name, item.required) for item in found.secrets} == {("a", False), ("b", False)}
    assert [(item.name, item.required) for item in found.agents] == [("default", False), ("work", True)]


def test_the_document_leaves_out_what_is_empty() -> None:
    source = source_of("FROM scratch\nRUN --mount=type=ssh,required x\n")
    found = document(parameters_of(source.text), source)
    assert found.keys() == {"ssh", "sources"}
    assert found["ssh"] == [
        {"name": "default", "required": True, "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]}}
    ]
