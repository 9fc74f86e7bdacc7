"""The result of ``${name...}`` once its parts are known; the rules and messages are BuildKit's."""

from pybuild.grammar.words import shellpattern

RESULT_LIMIT = 1 << 20
"""Characters of the result of one expansion."""


class BadWordError(Exception):
    """The word violates a rule, which the message names; the hint says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TooMuchError(Exception):
    """The word exceeds a limit; never converted into another error."""


def choose(name: str, value: str | None, kind: str, word: str, *, empty_is_unset: bool) -> str:
    """Return the result of ``-w``, ``+w`` and ``?w``; *value* is None when the variable is unset.

    Raises:
        BadWordError: the variable must be set, and is not.
    """
    missing = value is None or (empty_is_unset and not value)
    if kind == "-":
        return word if missing else value or ""
    if kind == "+":
        return "" if missing else word
    if missing:
        state = "unset" if value is None else "empty"
        hint = f"set {name} above with ARG or ENV, or with --build-arg {name}=..."
        raise BadWordError(f"{name}: {word or f'is not allowed to be {state}'}", hint)
    return value or ""


def stripped(value: str, kind: str, word: str) -> str:
    """Return the result of ``#p`` and ``%p``, or of the doubled forms when *word* starts with the sign again.

    Raises:
        BadWordError: the pattern has an unknown escape.
    """
    longest = word.startswith(kind)
    pattern = word[1:] if longest else word
    strip = shellpattern.strip_prefix if kind == "#" else shellpattern.strip_suffix
    try:
        return strip(value, pattern, longest=longest)
    except ValueError as error:
        raise _bad_pattern(pattern, error) from None


def replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """Return the result of ``/p/r`` and ``//p/r``.

    Raises:
        BadWordError: the pattern has an unknown escape.
        TooMuchError: the result would be too long.
    """
    try:
        return shellpattern.replace(value, pattern, replacement, every=every, limit=RESULT_LIMIT)
    except ValueError as error:
        raise _bad_pattern(pattern, error) from None
    except OverflowError:
        raise TooMuchError("the result is larger than 1 MiB") from None


def _bad_pattern(pattern: str, error: ValueError) -> BadWordError:
    hint = "in a pattern, use a backslash only before * ? / } or another backslash"
    return BadWordError(f"invalid pattern ({pattern}) in substitution: {error}", hint)
