r"""Make foreign text harmless on a terminal.

Output of steps, file names, registry errors and Dockerfile text may hold escape sequences that move the cursor, set
the title or fill the clipboard. What leaves this module is printable text, tabs and newlines, nothing else:

- escape sequences (CSI, OSC, DCS and their kin) are dropped whole, also when they are cut in pieces;
- other control characters are dropped; a carriage return, alone or before a newline, counts as one newline;
- bidirectional and other invisible format characters are shown as ``\u202e``;
- bytes that are not UTF-8 become U+FFFD.
"""

import codecs
import re
from collections.abc import Callable

_FORMAT = (
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f"
)
_SURROGATES = "\ud800-\udfff"
# `re` compiles these when they are first used: most builds show nothing that is not plain text.
_SPECIAL = f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_FORMAT}{_SURROGATES}]"
_VISIBLE = f"[{_FORMAT}{_SURROGATES}]"
_PARAMETERS = "[\x20-\x3f]*"
# A newline ends a string sequence too: an OSC that is never closed must not swallow the rest of a log.
_STRING_END = "[\x07\x18\x1a\x1b\x9c\n]"
_CSI = "\x9b"
_STRINGS = frozenset("\x90\x98\x9d\x9e\x9f")
_ESCAPED_STRINGS = frozenset("PX]^_")
_State = Callable[[str, int, list[str]], int]


class Sanitizer:
    """An incremental filter from bytes to harmless text.

    The result does not depend on how the input is cut into pieces, and the state between pieces is a few characters.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._state: _State = self._ground
        self._column = 0

    def feed(self, data: bytes) -> str:
        """Return what *data* adds to the harmless text."""
        return self._filter(self._decoder.decode(data))

    def finish(self) -> str:
        """Return the text that was held back; an unfinished escape sequence is dropped."""
        rest = self._filter(self._decoder.decode(b"", final=True))
        if self._state == self._carriage_return:
            rest += "\n"
        self._state, self._column = self._ground, 0
        return rest

    def text(self, text: str) -> str:
        """Return *text* made harmless, as a piece of the same stream."""
        return self._filter(text)

    def _filter(self, text: str) -> str:
        out: list[str] = []
        position = 0
        while position < len(text):
            position = self._state(text, position, out)
        return "".join(out)

    def _emit(self, text: str, out: list[str]) -> None:
        if text:
            out.append(text)
            self._column = 0 if text[-1] == "\n" else 1

    def _ground(self, text: str, position: int, out: list[str]) -> int:
        found = re.compile(_SPECIAL).search(text, position)
        if found is None:
            self._emit(text[position:], out)
            return len(text)
        self._emit(text[position : found.start()], out)
        self._special(found.group(), out)
        return found.end()

    def _special(self, char: str, out: list[str]) -> None:
        if char == "\x1b":
            self._state = self._escape
        elif char == _CSI:
            self._state = self._control_sequence
        elif char in _STRINGS:
            self._state = self._string
        elif char == "\r":
            # At the start of a line there is nothing to overwrite: progress bars begin with a carriage return.
            self._state = self._carriage_return if self._column else self._ground
        elif re.match(_VISIBLE, char):
            self._emit(_shown(char), out)

    def _carriage_return(self, text: str, position: int, out: list[str]) -> int:
        if text[position] == "\r":
            return position + 1
        self._state = self._ground
        if text[position] != "\n":
            self._emit("\n", out)
        return position

    def _escape(self, text: str, position: int, _out: list[str]) -> int:
        char = text[position]
        if char == "\x1b" or "\x20" <= char <= "\x2f":
            return position + 1
        if char == "[":
            self._state = self._control_sequence
        elif char in _ESCAPED_STRINGS:
            self._state = self._string
        else:
            self._state = self._ground
            return position + 1 if "\x30" <= char <= "\x7e" else position
        return position + 1

    def _control_sequence(self, text: str, position: int, _out: list[str]) -> int:
        found = re.compile(_PARAMETERS).match(text, position)
        position = found.end() if found else position
        if position == len(text):
            return position
        self._state = self._ground
        return position + 1 if "\x40" <= text[position] <= "\x7e" else position

    def _string(self, text: str, position: int, _out: list[str]) -> int:
        found = re.compile(_STRING_END).search(text, position)
        if found is None:
            return len(text)
        if found.group() == "\x1b":
            # Either the first half of the terminator ESC \, or the start of another sequence.
            self._state = self._escape
            return found.end()
        self._state = self._ground
        return found.start() if found.group() == "\n" else found.end()


def clean(text: str) -> str:
    """Return *text* without anything that a terminal would act on; newlines and tabs stay."""
    # Nothing that is printable is special; newlines and tabs are neither.
    if text.isprintable() or re.search(_SPECIAL, text) is None:
        return text
    sanitizer = Sanitizer()
    return sanitizer.text(text) + sanitizer.finish()


def clean_line(text: str) -> str:
    """Return *text* as one harmless line: each run of newlines and tabs becomes a space."""
    return text if text.isprintable() else re.sub(r"[\n\t]+", " ", clean(text).strip("\n"))


def _shown(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
