"""Parsing with the grammar: the only module that imports lark; none of its exceptions leaves it.

Making the tables of the parser takes ten times as long as reading them. So they are kept where Python keeps the
compiled form of this module, and like that they are made anew when what they were made from has changed.
"""

import os
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path

import lark
from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError
from lark.lexer import TerminalDef

from pybuild.grammar.dockerfile.arguments import Arguments
from pybuild.grammar.dockerfile.flags import read_flags
from pybuild.grammar.dockerfile.instructions import READERS
from pybuild.grammar.dockerfile.logical_lines import Line, Piece, split_first
from pybuild.grammar.dockerfile.near_miss import near_miss
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.hints import form
from pybuild.grammar.nodes import Instruction
from pybuild.grammar.suggest import did_you_mean

KEYWORDS = tuple(keyword.upper() for keyword in READERS)
"""The names of all instructions."""
_GRAMMAR = Path(__file__).with_name("dockerfile.lark")


def read_instruction(line: Line, escape: str) -> Instruction:
    """Parse the instruction on one logical line.

    Raises:
        DockerfileError: it is unknown, or its flags, the number of its arguments, or their values are invalid.
    """
    name, _ = split_first(line.text)
    keyword = name.lower()
    if keyword not in READERS:
        raise DockerfileError(f"unknown instruction: {name}", line.place(0, len(name)), _hint(name, escape))
    try:
        return _read(line, keyword, len(name), _parser(escape))
    except DockerfileError as error:
        # A dash or quotation mark of a word processor is a frequent reason for a wrong number of words.
        error.hint = near_miss(line.text) or error.hint
        raise


def _read(line: Line, keyword: str, base: int, language: Lark) -> Instruction:
    try:
        return _Builder(line, keyword, base).transform(language.parse(line.text[base:], start=_rule(keyword)))
    except UnexpectedInput as error:
        raise _translated(error, line, keyword, base) from None
    except VisitError as error:
        # lark wraps exceptions of the transformer.
        raise error.orig_exc from None


def _hint(name: str, escape: str) -> str:
    if name.endswith(":") or name.startswith("{"):
        return "each line of a Dockerfile begins with an instruction, such as FROM or RUN; YAML and JSON do not"
    # A shell command where an instruction should be: most often the line above lacks its continuation.
    lost = "" if name.isupper() else f'end a line that is continued with "{escape}"'
    return did_you_mean(name.upper(), KEYWORDS) or lost


def _rule(keyword: str) -> str:
    return "from_" if keyword == "from" else keyword


@cache
def _parser(escape: str) -> Lark:
    """Return the parser of all instructions; one is enough for a process."""
    grammar = _GRAMMAR.read_text(encoding="utf-8")
    tables = _tables_path(f"{lark.__version__} {escape} {grammar}")
    # Whatever is wrong with the file, the grammar is there to make it from.
    with suppress(Exception), tables.open("rb") as stream:
        return Lark.load(stream)
    made = _make_parser(grammar, escape)
    if not sys.dont_write_bytecode:
        _save_tables(made, tables)
    return made


def _tables_path(origin: str) -> Path:
    """Return the file of the tables that are made from *origin*."""
    return Path(cache_from_source(__file__)).with_suffix(f".{sha256(origin.encode()).hexdigest()[:16]}.tables")


def _make_parser(grammar: str, escape: str) -> Lark:
    def adapt(terminal: TerminalDef) -> None:
        # The one terminal that depends on the escape directive; the grammar is written for the backslash.
        if terminal.name == "QUOTED_WORD":
            terminal.pattern.value = terminal.pattern.value.replace("\\\\", escape)

    return Lark(
        grammar,
        parser="lalr",
        start=[_rule(keyword) for keyword in READERS],
        maybe_placeholders=False,
        edit_terminals=adapt if escape != "\\" else None,
    )


def _save_tables(parser: Lark, tables: Path) -> None:
    """Write the tables of *parser*, if this process may: in one step, because others may read or write them."""
    unfinished = tables.with_suffix(f".{os.getpid()}")
    with suppress(OSError), unfinished.open("xb") as stream:
        try:
            parser.save(stream, {"edit_terminals"})  # a function, which has done its work
            stream.flush()
            unfinished.replace(tables)
        finally:
            unfinished.unlink(missing_ok=True)


def _translated(error: UnexpectedInput, line: Line, keyword: str, base: int) -> DockerfileError:
    # The grammar only decides how many words there are, so its errors are about their number.
    message = READERS[keyword].arity.format(keyword.upper())
    offset: int | None = getattr(error, "pos_in_stream", None)
    start = base + (offset or 0)
    # $END is lark's name for the end of the text: a word is missing, and there is none to point at.
    missing = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    if missing or start >= len(line.text):
        return DockerfileError(message, line.span, form(keyword))
    word, _ = split_first(line.text[start:])
    return DockerfileError(message, line.place(start, start + len(word)), form(keyword))


class _Builder(Transformer[Token, Instruction]):
    """From the tokens of one instruction to its node."""

    def __init__(self, line: Line, keyword: str, base: int) -> None:
        # lark would call a method for each token, and there is none.
        super().__init__(visit_tokens=False)
        self._line = line
        self._keyword = keyword
        self._base = base

    def __default__(self, _rule: Token, tokens: list[Token], _meta: object) -> Instruction:
        # Start rules are the only ones: the grammar inlines all others.
        return READERS[self._keyword].build(self._arguments(tokens))

    def _arguments(self, tokens: list[Token]) -> Arguments:
        pieces = [Piece(str(token), self._base + (token.start_pos or 0), self._line) for token in tokens]
        count = sum(token.type == "FLAG" for token in tokens)
        return Arguments(
            line=self._line,
            keyword=self._keyword.upper(),
            flags=read_flags(self._keyword, pieces[:count]),
            pieces=tuple(pieces[count:]),
            exec_form=bool(tokens) and tokens[-1].type == "EXEC_FORM",
        )
