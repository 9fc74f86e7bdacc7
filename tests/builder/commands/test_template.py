import pytest

from builder.commands.template import Template, TemplateError

IMAGE = {
    "ID": "abc",
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"b": "2", "a": "1"}, "Cmd": None, "Tty": False, "Dotted.key": 1},
    "Size": 12,
    "Names": [],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.ID}}", "abc"),
        ("{{ .ID }} {{.Size}}", "abc 12"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{.Config.Cmd}}", "<no value>"),
        ("{{.Config.Tty}}", "false"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{.Config.Env | json}}", '["A=1","B=2"]'),
        ('{{join .Config.Env ", "}}', "A=1, B=2"),
        ("{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{range .Config.Labels}}{{.}}{{end}}", "12"),
        ("{{range .Names}}x{{else}}none{{end}}", "none"),
        ("{{range .Config.Env}}{{$.ID}}{{end}}", "abcabc"),
        ('{{index .Config.Labels "a"}}', "1"),
        ('{{index .Config "Dotted.key"}}', "1"),
        ("{{index .Config.Env 1}}", "B=2"),
        ("{{len .Config.Env}}", "2"),
        ("{{upper .ID}}{{lower `ABC`}}", "ABCabc"),
        ("{{if .Names}}yes{{else}}no{{end}}", "no"),
        ("{{if not .Names}}empty{{end}}", "empty"),
        ('{{if eq .ID "abc" "x"}}a{{else if .Size}}b{{end}}', "a"),
        ('{{if ne .ID "abc"}}a{{else if .Size}}b{{end}}', "b"),
        ("{{with .Config}}{{.Tty}}{{end}}", "false"),
        ("a {{- .ID -}} \n b", "aabcb"),
        ("a{{/* nothing */}}b", "ab"),
        ('{{println .ID "x"}}', "abc x\n"),
        ("{{(index .Config.Env 0) | upper}}", "A=1"),
        ('{{"a\\tb"}}', "a\tb"),
        ("{{and .ID .Size}} {{or .Names .ID}}", "12 abc"),
        ('{{join (split "a,b" ",") "+"}}', "a+b"),
    ],
)
def test_templates_print_as_in_go(template: str, text: str) -> None:
    assert Template(template).render(IMAGE) == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{.Id}}", "no field 'Id'"),
        ("{{.ID.Deeper}}", "no field 'Deeper'"),
        ("{{nonsense .ID}}", "not a function|not defined"),
        ("{{range .Names}}", "missing {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{if .ID}}a{{else}}b{{else}}c{{end}}", "missing {{end}}|unexpected"),
        ("{{.ID", "unclosed action"),
        ("{{}}", "missing value"),
        ("{{(.ID}}", "unclosed left parenthesis"),
        ("{{join .ID}}", "wrong arguments"),
        ("{{index .Config.Env 9}}", "wrong arguments"),
        ("{{;}}", "unexpected"),
        ("{{.ID .Size}}", "not a function"),
    ],
)
def test_what_cannot_be_carried_out_is_said(template: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        Template(template).render(IMAGE)
