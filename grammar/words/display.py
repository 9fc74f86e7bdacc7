"""An instruction for progress displays: with its variables replaced by their values."""

import re
from collections.abc import Mapping

from pybuild.grammar.words.lexer import Lexer
from pybuild.grammar.words.substitution import BadWordError, TooMuchError

_ALONE = re.compile(r"\$\{?([^{}:/#%+?-]+|.)\}?")


def shown(text: str, scope: Mapping[str, str], *, escape: str = "\\") -> str:
    """Return *text* with the variables of *scope* replaced, as BuildKit names its steps.

    Quotes stay, and so do variables without a value, which may be variables of the shell. A malformed text is returned
    unchanged.
    """
    if "$" not in text and escape not in text:
        return text
    try:
        return "".join(part for _, part, _ in _ShownLexer(text, scope.get, escape=escape).parts())
    except (BadWordError, TooMuchError):
        return text


class _ShownLexer(Lexer):
    def _single_quoted(self) -> str:
        return f"'{super()._single_quoted()}'"

    def _double_quoted(self, *, keep_escapes: bool) -> str:
        return f'"{super()._double_quoted(keep_escapes=keep_escapes)}"'

    def _variable(self) -> str:
        start = self._position
        value = super()._variable()
        written = self._text[start : self._position]
        # Longer forms, such as ${NAME:-value}, are replaced even when NAME is unset.
        alone = _ALONE.fullmatch(written)
        unset = alone is not None and self._lookup is not None and self._lookup(alone[1]) is None
        return written if unset else value
