"""Warnings about text that is almost a JSON array, a flag or a quoted word: ``VOLUME [/a]``, ``COPY -from=x``.

The same for patterns that match nothing: ``COPY --exclude=/a``. Docker reads such text as words or as a shell command,
without a warning. Usual mistakes are wrong or missing quotes, a missing bracket, and the dashes and quotation marks of
a word processor. The meaning of the text is that of Docker.
"""

import json
import re

from pybuild.grammar.dockerfile.flags import FLAGS
from pybuild.grammar.dockerfile.forms import is_array
from pybuild.grammar.dockerfile.logical_lines import split_first
from pybuild.grammar.parse_go import SPACE

_DASHES = "\u2010-\u2015\u2212"
_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"
_ITEM = rf"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}])"""
_ITEMS = re.compile(_ITEM)
# The patterns below that are texts are compiled by `re` when they are used first: most builds use none of them.
_BARE = rf"""(?:{_ITEM}|([^\s,\[\]"'{_QUOTES};&|<>()`]+))"""
_BARE_WORDS = rf"\[\s*{_BARE}(?:[\s,]+{_BARE})*[\s,]*\]\s*"
_BARE_COMMAND = rf"(?=\[\S|.*,\s)\[\s*{_BARE}(?:\s*,\s*{_BARE})*\s*(?:,\s*)?\]\s*"
"""Not ``[ x ]`` or ``[ a,b ]``, which are tests of the shell."""
_QUOTED = rf"(?<!\S)([{_QUOTES}])([^{_QUOTES}]*)[{_QUOTES}](?!\S)"
_ARRAY = re.compile(rf"\[\s*{_ITEM}\s*(?:,|\]\s*$)|\[{_ITEM}\s*[\"'{_QUOTES}]")
"""The start of an array. Behind its first item a comma may lack, unless the shell reads a test: ``[ "-f" "x" ]``."""
_OPENED = re.compile(rf"""\[\s*["'{_QUOTES}]""")
_REST = re.compile(r"[\s,\[\]]*")
_FLAG = re.compile(rf"(?:-|-?[{_DASHES}][-{_DASHES}]?)([a-z][a-z-]*)(=.*|$)", re.DOTALL)
_ANCHORED = r"(?<!\S)--exclude=(!?)/+(\S*)"
_VALUE = re.compile(rf"(?<!\S)([^\s=]+)=([{_QUOTES}])")

_WORDS = frozenset({"COPY", "ADD", "VOLUME"})
"""Instructions without a shell form, in which a bracket and a quotation mark suffice to suspect an array."""
_COMMANDS = frozenset({"RUN", "CMD", "ENTRYPOINT"})
_SINGLE = frozenset({"FROM", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL"})
"""Instructions of plain words, which need no quotation marks."""
_PAIRS = frozenset({"ENV", "LABEL", "ARG"})


def near_miss(instruction: str) -> str:
    """Return a warning with the right spelling; "" when the instruction has no such mistake."""
    name, start = split_first(instruction.split("\n", 1)[0])
    keyword, rest = name.upper(), instruction.split("\n", 1)[0][start:]
    if keyword == "ONBUILD":
        return near_miss(rest)
    flags, rest = _cut_flags(rest)
    # After "--" a word with a dash is an argument.
    if not flags.endswith("--") and (flag := _flag(keyword, rest)):
        return flag
    if keyword in {"COPY", "ADD"} and (found := re.search(_ANCHORED, flags)):
        spelled = f"--exclude={found[1]}{found[2] or '**'}"
        return f"{_cut(found[0])} matches nothing, because paths are relative to the source: write {_cut(spelled)}"
    if keyword == "HEALTHCHECK" and rest[:3].upper() == "CMD":
        keyword, rest = "RUN", rest[3:].strip(SPACE)
        name = f"{name} CMD"
    if keyword in _WORDS | _COMMANDS and (array := _nearly_array(name, keyword, rest)):
        return array
    if keyword in _WORDS | _SINGLE:
        return _quoted(name, keyword, rest)
    return _value(rest) if keyword in _PAIRS else ""


def nearly_array(text: str) -> str:
    """Return the JSON array that the command *text* almost is; "" when there is none, or it is unclear."""
    if not text.startswith("[") or is_array(text):
        return ""
    if re.fullmatch(_BARE_COMMAND, text):
        return _spelled(_BARE, text)
    whole = _ARRAY.match(text) and _REST.fullmatch(_ITEMS.sub("", text))
    return _spelled(_ITEM, text) if whole else ""


def _nearly_array(name: str, keyword: str, text: str) -> str:
    if not text.startswith("[") or is_array(text):
        return ""
    words = keyword in _WORDS
    spelled = _spelled(_BARE, text) if words and re.fullmatch(_BARE_WORDS, text) else nearly_array(text)
    if not spelled and not (_OPENED if words else _ARRAY).match(text):
        return ""
    taken = "words" if words else "a shell command"
    spelled = spelled or '["...", "..."]'
    return f"{_cut(text)} is not a JSON array, and is read as {taken}: write {name} {spelled}"


def _spelled(item: str, text: str) -> str:
    """Return the matches of *item* in *text* as a JSON array."""
    found = (next(part for part in each.groups() if part is not None) for each in re.finditer(item, text))
    return json.dumps(list(found), ensure_ascii=False)


def _quoted(name: str, keyword: str, text: str) -> str:
    """Return a warning about a word in quotation marks of a word processor."""
    # An odd number of ASCII marks before it means that it is quoted itself, and so is meant as it is.
    found = None if text.isascii() or is_array(text) else re.search(_QUOTED, text)
    if found is None or any(text.count(mark, 0, found.start()) % 2 for mark in "\"'"):
        return ""
    plain = re.sub(_QUOTED, r"\2", text)
    if keyword in _WORDS:
        words = [part[2] if part[1] else part[0] for part in re.finditer(rf"{_QUOTED}|\S+", text)]
        plain = json.dumps(words, ensure_ascii=False)
    return f"{found[1]} is not a quotation mark, but part of the word: write {name} {plain}"


def _flag(keyword: str, text: str) -> str:
    """Return a warning about the first word of *text*, if it is a flag with a wrong dash."""
    word, _ = split_first(text)
    found = _FLAG.fullmatch(word)
    if found is None or found[1] not in FLAGS.get(keyword.lower(), {}):
        return ""
    return f"{_cut(word)} is not a flag, because of its dash: write --{found[1]}{found[2]}"


def _cut_flags(text: str) -> tuple[str, str]:
    """Return the flags at the start of *text*, including ``--``, and the rest."""
    start = 0
    while text.startswith("--", start):
        start += split_first(text[start:])[1]
    return text[:start].strip(SPACE), text[start:]


def _value(text: str) -> str:
    found = _VALUE.search(text)
    if found is None or any(text.count(mark, 0, found.start()) % 2 for mark in "\"'"):
        return ""
    return f'{found[2]} is not a quotation mark, but part of the value: write {found[1]}="..."'


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
