"""What testdata/checks does not reach; the rules themselves are tested on its cases, in tests/builder/checks."""

from textwrap import dedent

from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.lint.lint import file_violations, keyword, stage_violations
from pybuild.grammar.source import Source


def found(text: str) -> list[tuple[int, str]]:
    source = Source("Dockerfile", dedent(text).lstrip("\n"))
    dockerfile = parse(source)
    violations = [*file_violations(dockerfile, source), *stage_violations(dockerfile.instructions)]
    return [(source.position(item.span.start)[0], item.rule.name) for item in violations]


def test_the_name_of_an_instruction_is_kept_as_written() -> None:
    dockerfile = parse(Source("Dockerfile", "frOm x\n  Cmd\ty\n"))
    assert [keyword(node) for node in dockerfile.instructions] == ["frOm", "Cmd"]


def test_rules_without_stages_or_images_need_nothing_but_the_text() -> None:
    text = """
        from x as Y
        ENV a b
        CMD one
        CMD two
        """
    assert found(text) == [
        (1, "StageNameCasing"),
        (1, "ConsistentInstructionCasing"),
        (2, "LegacyKeyValueFormat"),
        (3, "MultipleInstructionsDisallowed"),
    ]


def test_an_empty_continuation_at_the_end_of_the_text_has_a_place() -> None:
    for text in ("FROM x \\\n\n", "FROM x \\\n\n\n\n", "FROM x \\\n\n# c", "FROM x \\\n \n"):
        lines = [line for line, _ in found(text)]
        assert lines, text
        assert all(2 <= line <= text.count("\n") + 1 for line in lines)


def test_many_empty_continuations_take_linear_time() -> None:
    source = Source("Dockerfile", "FROM x\nRUN a \\\n" + "\n" * 200_000 + "b\n")
    dockerfile = parse(source)
    assert len(list(file_violations(dockerfile, source))) == 1
