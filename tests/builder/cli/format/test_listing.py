import click
import pytest

from pybuild.builder.cli.format.listing import LabelText, inspected, listing, table

HEADERS = {"ID": "IMAGE ID", "Tag": "TAG", "Size": "SIZE"}
ROWS = [{"ID": "abc", "Tag": "latest", "Size": "1MB"}, {"ID": "def", "Tag": "a-longer-name", "Size": "2MB"}]


def test_columns_are_as_wide_as_their_widest_cell_and_at_least_ten() -> None:
    assert listing(ROWS, HEADERS, ("ID", "Tag", "Size"), None) == (
        "IMAGE ID   TAG             SIZE\nabc        latest          1MB\ndef        a-longer-name   2MB"
    )
    assert table([["A", "B"], ["1", "2"]]) == "A         B\n1         2"


def test_json_is_one_document_per_row() -> None:
    assert listing(ROWS[:1], HEADERS, (), "json") == '{"ID":"abc","Size":"1MB","Tag":"latest"}'


def test_a_template_is_applied_to_each_row() -> None:
    assert listing(ROWS, HEADERS, (), "{{.ID}}\\t{{.Tag}}") == "abc\tlatest\ndef\ta-longer-name"


def test_a_table_template_has_titles() -> None:
    assert listing(ROWS, HEADERS, (), "table {{.Tag}}\t{{.ID}}") == (
        "TAG             IMAGE ID\nlatest          abc\na-longer-name   def"
    )


@pytest.mark.parametrize("template", ["{{.Nope}}", "{{.ID"])
def test_a_wrong_template_is_a_mistake_of_the_user(template: str) -> None:
    with pytest.raises(click.UsageError, match="template"):
        listing(ROWS, HEADERS, (), template)


def test_no_rows_leave_the_titles() -> None:
    assert listing([], HEADERS, ("ID", "Tag"), "table") == "IMAGE ID   TAG"
    assert listing([], HEADERS, ("ID",), "{{.ID}}") == ""


def test_documents_are_inspected_together_or_through_a_template() -> None:
    documents = [{"Name": "é"}, {"Name": ""}]
    assert list(inspected(documents, None)) == [
        '[\n    {\n        "Name": "é"\n    },\n    {\n        "Name": ""\n    }\n]'
    ]
    assert list(inspected(documents, "json")) == ['[{"Name":"é"},{"Name":""}]']
    assert list(inspected(documents, "{{.Name}}")) == ["é", ""]
    assert list(inspected(documents, "{{.Name}}", lambda each: {"Name": each["Name"] * 2})) == ["éé", ""]
    assert list(inspected([], "{{.Name}}")) == []


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{{.Tag}} [{{.Label "a"}}] [{{.Label "none"}}]', "latest [1] []"),
        ('{{if eq (.Label "a") "1"}}one{{end}} {{"b.c" | .Label}}', "one x,y=z"),
        ('table {{.Tag}}\\t{{.Label "com.example.long_na-me"}}', "TAG       long na me\nlatest    "),
        ("json", '{"Labels":"a=1,b.c=x,y=z","Tag":"latest"}'),
        ("{{.Labels}}", "a=1,b.c=x,y=z"),
    ],
)
def test_a_label_is_found_by_its_name(template: str, text: str) -> None:
    row = {"Tag": "latest", "Labels": LabelText([("a", "1"), ("b.c", "x,y=z")])}
    assert listing([row], {"Tag": "TAG", "Labels": "LABELS"}, ("Tag",), template) == text


def test_a_row_without_labels_has_none_by_name() -> None:
    with pytest.raises(click.UsageError, match="only rows with labels have labels by name"):
        listing(ROWS, HEADERS, ("ID",), '{{.Label "a"}}')
