"""``--call=subrequests.describe``: every method of --call, with BuildKit's members."""

from pybuild.builder.checks.subrequests import document, rows

METHODS = ["outline", "targets", "lint", "subrequests.describe"]


def test_the_table_has_a_row_for_each_method() -> None:
    assert [row[0] for row in rows()] == METHODS
    assert {row[1] for row in rows()} == {"1.0.0"}
    assert all(row[2] for row in rows())


def test_the_document_has_the_members_of_buildkit() -> None:
    found = {item["name"]: item for item in document()}
    assert list(found) == [f"frontend.{name}" for name in METHODS]
    assert found["frontend.outline"]["opts"] == [{"name": "target", "description": "Target build stage"}]
    assert found["frontend.lint"]["metadata"][-1] == {"name": "result.statuscode", "description": ""}
    members = {"name", "version", "type", "description", "opts", "inputs", "metadata", "refs"}
    assert all(set(item) == members for item in found.values())
