"""The parts of a Go template."""

import pytest

from pybuild.builder.cli.format.template_text import Action, Block, TemplateError, parse


def test_texts_and_actions_alternate() -> None:
    assert parse("a {{.ID}} b") == ("a ", Action((".ID",)), " b")
    assert parse('{{json .Labels "x y"}}')[1] == Action(("json", ".Labels", '"x y"'))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a {{- .ID}} b", ("a", " b")),
        ("a {{.ID -}} b", ("a ", "b")),
        ("a\n{{- .ID -}}\nb", ("a", "b")),
    ],
)
def test_trim_markers_remove_white_space(text: str, parts: tuple[str, str]) -> None:
    assert parse(text) == (parts[0], Action((".ID",)), parts[1])


def test_comments_vanish() -> None:
    assert "".join(part for part in parse("a{{/* x */}}b") if isinstance(part, str)) == "ab"
    assert all(isinstance(part, str) for part in parse("a{{/* x */}}b"))


def test_braces_in_strings_end_no_action() -> None:
    assert parse('{{join .Names "}}"}}')[1] == Action(("join", ".Names", '"}}"'))


def test_a_block_has_a_body_and_an_else() -> None:
    (before, block, after) = parse("{{if .A}}yes{{else}}no{{end}}")
    assert (before, after) == ("", "")
    assert block == Block("if", (".A",), ("yes",), ("no",))


def test_else_if_is_a_block_in_the_else() -> None:
    block = parse("{{if .A}}1{{else if .B}}2{{else}}3{{end}}")[1]
    assert block == Block("if", (".A",), ("1",), (Block("if", (".B",), ("2",), ("3",)),))


def test_blocks_can_be_nested() -> None:
    block = parse("{{range .X}}{{with .Y}}in{{end}}out{{end}}")[1]
    assert isinstance(block, Block)
    assert block.body[1:] == (Block("with", (".Y",), ("in",), ()), "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.ID", "unclosed action"),
        ("{{if .A}}x", "missing {{end}}"),
        ("x{{end}}", "unexpected {{end}} or {{else}}"),
        ("{{else}}", "unexpected {{end}} or {{else}}"),
        ("{{nosuch .A}}", 'function "nosuch" not defined'),
        ("{{.A ?}}", "unexpected"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert message in str(caught.value)
