r"""Finding the markers of here-documents: ``<<NAME``, ``<<-NAME``, ``<<"NAME"``, ``3<<NAME``.

A marker must start a word, outside quotes: ``cat<<EOF`` and ``"<<EOF"`` are not heredocs. A line whose quotes or
substitutions are malformed has none. As in BuildKit, the escape is always the backslash here, whatever the directive.
"""

import re

from pybuild.grammar.dockerfile.forms import is_exec_form
from pybuild.grammar.dockerfile.logical_lines import WHITE
from pybuild.grammar.nodes import Heredoc, Run, ShellForm
from pybuild.grammar.words.lexer import Kind, Lexer
from pybuild.grammar.words.substitution import BadWordError, TooMuchError
from pybuild.runtime.values import frozen

# The instructions that take heredocs, also as triggers, and their flags. Most lines end the search for markers here.
_MAY_HOLD = re.compile(
    rf"""(?:onbuild[{WHITE}]+)?(?:run|copy|add)(?:[{WHITE}]+--[^{WHITE}]*)*[{WHITE}]+(?P<arguments>.*)""",
    re.IGNORECASE | re.DOTALL,
)
# A word; white space behind << belongs to it.
_WORD = re.compile(rf"(?:<<[{WHITE}]*|[^{WHITE}])+")
_MARKER = re.compile(rf"([0-9]*)<<(-?)[{WHITE}]*([^<]*)")
_TABS = re.compile(r"^\t+", re.MULTILINE)


@frozen
class Marker:
    """A heredoc marker: its position in the line, and how its body is read."""

    start: int
    end: int
    name: str
    expand: bool
    strip_tabs: bool
    fd: int

    def ends_at(self, row: str) -> bool:
        """Return whether *row* (without its line end) ends the body."""
        return (row.lstrip("\t") if self.strip_tabs else row) == self.name

    def body(self, raw: str) -> str:
        """Return the body, without leading tabs for ``<<-``."""
        return _TABS.sub("", raw) if self.strip_tabs else raw


def find_markers(text: str) -> tuple[Marker, ...]:
    """Return the heredoc markers in the logical line *text*, in order."""
    match = _MAY_HOLD.fullmatch(text) if "<<" in text else None
    if match is None or is_exec_form(match["arguments"]):
        return ()
    # With "x" for what is quoted, offsets stay, and a << in quotation marks is no marker.
    masked = _mask(text)
    found = (_marker(text, word.start(), word.end()) for word in _WORD.finditer(masked))
    return tuple(marker for marker in found if marker)


def lone_heredoc(run: Run) -> Heredoc | None:
    """Return the heredoc that is the whole command of *run* (``RUN <<EOF``), so that its body is the script."""
    if not isinstance(run.command, ShellForm) or len(run.heredocs) != 1:
        return None
    alone = _marker(run.command.text, 0, len(run.command.text))
    return run.heredocs[0] if alone else None


def _mask(text: str) -> str:
    """Return *text* with quoted and escaped parts and variables masked; "" when it is malformed."""
    try:
        parts = Lexer(text, None, escape="\\").parts()
    except (BadWordError, TooMuchError):
        return ""
    ends = [start for _, _, start in parts[1:]] + [len(text)]
    return "".join(
        value if kind is Kind.PLAIN else "x" * (end - start)
        for (kind, value, start), end in zip(parts, ends, strict=True)
    )


def _marker(text: str, start: int, end: int) -> Marker | None:
    match = _MARKER.fullmatch(text, start, end)
    if match is None:
        return None
    try:
        parts = Lexer(match[3], None, escape="\\").parts()
    except (BadWordError, TooMuchError):
        return None
    name = "".join(value for _, value, _ in parts)
    # A space outside of quotation marks begins another word, which the text of `lone_heredoc` may have.
    bare = "".join(value for kind, value, _ in parts if kind is Kind.PLAIN)
    if not name or re.search(rf"[{WHITE}]", bare):
        return None
    expand = all(kind is not Kind.QUOTED for kind, _, _ in parts)
    fd = int(match[1][:9] or "0")
    return Marker(start=start, end=end, name=name, expand=expand, strip_tabs=bool(match[2]), fd=fd)
