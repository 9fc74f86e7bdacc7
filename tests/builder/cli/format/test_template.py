import pytest

from pybuild.builder.cli.format.template import Template
from pybuild.builder.cli.format.template_functions import NO_LIST, Loose, TemplateRow, Typed
from pybuild.builder.cli.format.template_text import TemplateError

IMAGE = {
    "ID": "abc",
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"b": "2", "a": "1"}, "Cmd": None, "Tty": False, "Dotted.key": 1},
    "Size": 12,
    "Names": [],
    "Typed": Typed({"Free": Loose({"k": "v"}), "Cmd": None}, {"Cmd": NO_LIST, "Shell": NO_LIST, "Stop": ""}),
    "Row": TemplateRow({"b": "<none>", "a": "x"}),
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
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"),
        ("{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$e}}{{end}}", "A=1, B=2"),
        ("{{range $e := .Config.Env}}{{$e}}{{.}}{{end}}", "A=1A=1B=2B=2"),
        ("{{$x := .ID}}{{with .Config}}{{$x}}{{$.Size}}{{end}}", "abc12"),
        ("{{$x := 1}}{{range .Config.Env}}{{$x = .}}{{end}}{{$x}}", "B=2"),
        ("{{with $c := .Config}}{{$c.Tty}}{{else}}no{{end}}", "false"),
        ("{{with .Names}}a{{else with .ID}}{{.}}{{end}}", "abc"),
        ("{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=1"),
        ('{{range .Config.Env}}{{if eq . "A=1"}}{{continue}}{{end}}{{.}}{{end}}', "B=2"),
        ('{{printf "%s-%d %5s|%-5s|%q %v %%" .ID .Size .ID .ID .ID .Config.Tty}}', 'abc-12   abc|abc  |"abc" false %'),
        ('{{printf "%.2f %05d" 1.5 .Size}}', "1.50 00012"),
        (
            '{{title "ab cd"}} {{truncate .ID 2}} [{{pad .ID 1 2}}] {{slice .ID 1}} {{slice .ID 0 1}}',
            "Ab Cd ab [ abc  ] bc a",
        ),
        ('{{html "<a>"}} {{urlquery "a b"}} {{js `a"b`}}', '&lt;a&gt; a+b a\\"b'),
        ("{{if gt .Size 10}}big{{end}}{{if and (lt .Size 20) (le .Size 12) (ge .Size 12)}}!{{end}}", "big!"),
        ('{{(index .Config.Env 0)}}{{(.Config).Tty}}{{"}}"}}', "A=1false}}"),
        ("{{.Typed.Cmd}} {{.Typed.Shell}} {{json .Typed.Cmd}} {{len .Typed.Shell}}", "[] [] null 0"),
        ("{{json .Typed}}", '{"Free":{"k":"v"},"Cmd":null}'),
        (
            '{{.Typed.Free.k}} {{.Typed.Free.z}} "{{index .Typed.Free "z"}}" "{{index .Typed.Cmd "z"}}"',
            'v <no value> "" ""',
        ),
        ("{{json .Row}}", '{"a":"x","b":"\\u003cnone\\u003e"}'),
        ("{{json .Row.b}}", '"<none>"'),
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
        ("{{index .Config.Env 9}}", "error calling index: index out of range: 9"),
        ("{{;}}", "unexpected"),
        (f"{{{{{'1' * 5000}}}}}", "not a function|not defined|unexpected"),
        ("{{\u00b2}}", "not a function|not defined|unexpected"),
        ("{{.5\u00b2}}", "no field|unexpected"),
        ("{{.ID .Size}}", "not a function"),
        ("{{$x}}", "undefined variable"),
        ('{{"\\q"}}', "invalid syntax"),
        ("{{range .ID}}{{end}}", "range can't iterate"),
        ("{{break}}", "outside"),
        ("{{.ID := 1}}", "unexpected"),
        ('{{printf "%d" .ID}}', "wrong arguments"),
    ],
)
def test_what_cannot_be_carried_out_is_said(template: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        Template(template).render(IMAGE)
