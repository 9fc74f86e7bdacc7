"""UTF-8 for names and texts under every locale: a Dockerfile is UTF-8, and Python has one encoding for file names.

Under a locale of another encoding (``de_DE.ISO-8859-1``, ``ja_JP.eucJP``) Python would encode the ``é`` of a Dockerfile
in that encoding, and the file, argument or variable would not be the one that the user wrote. The encoding is fixed
when the interpreter starts, so the command line starts it again in UTF-8 mode. Bytes that are not UTF-8 pass through
that mode unchanged.
"""

import os
import sys
from io import TextIOWrapper
from pathlib import Path

from pybuild.builder.errors import RequestError


def start_again() -> None:
    """Replace this process by the same command in UTF-8 mode. Returns only when the interpreter is not known."""
    if sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *_arguments()])  # noqa: S606 - this very program


def _arguments() -> list[bytes] | list[str]:
    """Return what this interpreter was started with, as bytes: not every codec can encode what mbstowcs(3) decoded."""
    try:
        given = Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:  # no /proc
        given = []
    return given[1:] if len(given) == len(sys.orig_argv) else sys.orig_argv[1:]


def follow_the_locale(stream: TextIOWrapper) -> None:
    """Let *stream* use the encoding of the locale, as people read it; UTF-8 mode is for names and data."""
    import locale

    stream.reconfigure(encoding=locale.getencoding(), errors="backslashreplace")


def need_utf8() -> None:
    """Raise RequestError where names are not UTF-8: an embedding program cannot be started again by us."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        message = f"Dockerfiles are UTF-8, and this Python encodes file names as {encoding}"
        raise RequestError(message, hint="start Python with -X utf8, or set PYTHONUTF8=1 in its environment")
