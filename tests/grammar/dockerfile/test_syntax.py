import subprocess
import sys
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from pybuild.grammar.dockerfile import syntax
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


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory where the tables are kept, which is empty."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    directory = Path(cache_from_source(syntax.__file__)).parent
    directory.mkdir(parents=True)
    return directory


def _outcomes(escape: str = "\\") -> list[object]:
    """What a process that has just begun makes of each instruction without words, with some, and with many."""
    syntax._parser.cache_clear()
    arguments = ("", " x", ' ["a", "b"]', f' --a=b {escape}" y=z {escape} <<EOF', " a b c")
    return [_outcome(f"{keyword}{rest}", escape) for keyword in KEYWORDS for rest in arguments]


def _outcome(text: str, escape: str) -> object:
    try:
        return _read(text, escape)
    except DockerfileError as error:
        return error.message, error.span, error.hint


def _refuse(_grammar: str, _escape: str) -> None:
    raise AssertionError("the tables were made again")


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_tables_that_were_kept_read_the_same_as_those_that_were_made(
    kept: Path, monkeypatch: pytest.MonkeyPatch, escape: str
) -> None:
    made = _outcomes(escape)
    monkeypatch.setattr(syntax, "_make_parser", _refuse)

    assert _outcomes(escape) == made
    assert len(list(kept.iterdir())) == 1


def test_tables_for_another_escape_character_or_version_of_lark_are_others(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _outcomes("\\")
    _outcomes("`")
    monkeypatch.setattr("lark.__version__", "another")
    _outcomes("`")

    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda _: b"", lambda all_of: all_of[:-100], lambda _: b"\x80\x04}."])
def test_damaged_tables_are_made_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    made = _outcomes()
    (tables,) = kept.iterdir()
    tables.write_bytes(damage(tables.read_bytes()))

    assert _outcomes() == made
    monkeypatch.setattr(syntax, "_make_parser", _refuse)
    assert _outcomes() == made


def test_tables_are_not_kept_where_python_keeps_no_code(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = _outcomes()
    assert list(kept.iterdir()) == []
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    kept.rmdir()

    assert _outcomes() == made
    assert not kept.exists()
