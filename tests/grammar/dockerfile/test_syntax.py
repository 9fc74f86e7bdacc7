import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.grammar.dockerfile.logical_lines import Line
from pybuild.grammar.dockerfile.syntax import KEYWORDS, read_instruction
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Instruction
from pybuild.grammar.source import Span

_GRAMMAR = Path(__file__).parents[3] / "grammar" / "dockerfile"


def _read(text: str, escape: str = "\\") -> Instruction:
    return read_instruction(Line(text=text, span=Span(0, len(text)), marks=((0, 0),)), escape)


_BARE = ("RUN", "CMD", "ENTRYPOINT")


@pytest.mark.parametrize("keyword", [keyword for keyword in KEYWORDS if keyword not in _BARE])
def test_an_instruction_without_arguments_is_told_how_many_it_needs(keyword: str) -> None:
    with pytest.raises(DockerfileError, match=f"^{keyword} requires (at least|exactly|either) ") as caught:
        _read(keyword)

    assert caught.value.span == Span(0, len(keyword))


@pytest.mark.parametrize("keyword", _BARE)
def test_a_command_may_be_empty_as_in_docker(keyword: str) -> None:
    assert _read(keyword).original == keyword


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_instruction_refuses_a_flag_that_it_does_not_have(keyword: str) -> None:
    argument = {"FROM": "a", "SHELL": '["a"]', "COPY": "a b", "ADD": "a b", "ENV": "a=b", "LABEL": "a=b"}.get(
        keyword, "a"
    )

    with pytest.raises(DockerfileError, match="unknown flag: --nonsense"):
        _read(f"{keyword} --nonsense=x {argument}")


def test_only_one_module_imports_lark() -> None:
    assert [path.name for path in _GRAMMAR.parent.rglob("*.py") if "from lark" in path.read_text()] == ["syntax.py"]


def test_words_and_references_are_read_without_lark() -> None:
    modules = "pybuild.grammar.words.expand, pybuild.grammar.reference, pybuild.grammar.ignorefile, pybuild.grammar.patterns, pybuild.grammar.suggest, pybuild.grammar.dockerfile.mounts"
    program = f"import sys, {modules}; sys.exit('lark' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], cwd=_GRAMMAR.parents[1], check=False).returncode == 0


def test_every_instruction_has_an_example_in_the_grammar() -> None:
    text = (_GRAMMAR / "dockerfile.lark").read_text()

    for keyword in KEYWORDS:
        assert f"// {keyword} " in text
