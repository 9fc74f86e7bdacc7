from pathlib import Path

import pytest

from tests.grammar.dump import dump
from grammar.errors import DockerfileError
from grammar.parser import parse
from grammar.source import Source

_CASES = Path(__file__).parents[2] / "testdata" / "dockerfiles"


@pytest.mark.parametrize("case", sorted(path.name for path in _CASES.iterdir()))
def test_dockerfile_reads_as_the_golden_file_says(case: str) -> None:
    folder = _CASES / case
    expected = {path.name for path in folder.iterdir()} - {"Dockerfile"}
    source = Source("Dockerfile", (folder / "Dockerfile").read_bytes().decode(errors="surrogateescape"))

    name, text = _outcome(source)

    assert expected == {name}
    assert (folder / name).read_text() == text


def _outcome(source: Source) -> tuple[str, str]:
    try:
        return "ast.txt", dump(parse(source), source)
    except DockerfileError as error:
        return "error.txt", error.render(source) + "\n"
