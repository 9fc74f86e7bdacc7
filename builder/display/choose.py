"""Which display shows a build."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from pybuild.builder.progress import Event

if TYPE_CHECKING:
    # Imported by the displays that move.
    from pybuild.builder.display.ticker import Ticker

MODES = ("auto", "plain", "tty", "quiet", "none", "rawjson")
# The intervals, the number of lines and the variables are those of BuildKit (util/progress/progressui).
_REFRESH = 0.15
_DIGITS = 10
"""A number of lines or milliseconds has fewer."""


class Display(Protocol):
    """A progress that is closed at the end, when it shows what is left."""

    def __call__(self, event: Event) -> None:
        """Take in one event, from any thread."""
        ...

    def close(self) -> None:
        """Show what is left."""
        ...


class OpenDisplay:
    """A display with the thread that keeps it moving, as a context manager."""

    def __init__(
        self, display: Display, ticker: "Ticker | None" = None, *, tells_log: Callable[[], bool] = lambda: False
    ) -> None:
        self._display = display
        self._ticker = ticker
        self.tells_log = tells_log
        """Whether it will show the whole log of a step that failed when it is closed."""

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        self._display(event)
        if self._ticker is not None:
            self._ticker.note(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._ticker is not None:
            self._ticker.close()
        self._display.close()


def open_display(mode: str, stream: TextIO, env: Mapping[str, str]) -> OpenDisplay:
    """Return the display for *mode*, one of `MODES`, on *stream*.

    ``auto`` is the live view on a terminal, else the plain log. Raises ValueError when ``tty`` is asked for and
    *stream* is no terminal.
    """
    terminal = stream.isatty() and env.get("TERM") != "dumb"
    if mode == "auto":
        mode = "tty" if terminal else "plain"
    if mode == "tty":
        if not terminal:
            raise ValueError("--progress tty: standard error is not a terminal")
        return _tty(stream, env)
    if mode == "plain":
        return _plain(stream, env)
    if mode == "rawjson":
        from pybuild.builder.display.rawjson import JsonDisplay

        return OpenDisplay(JsonDisplay(stream))
    from pybuild.builder.display.quiet import QuietDisplay

    quiet = QuietDisplay(stream)
    return OpenDisplay(quiet, tells_log=lambda: bool(quiet.failed))


def _tty(stream: TextIO, env: Mapping[str, str]) -> OpenDisplay:
    from pybuild.builder.display.colors import colors_from
    from pybuild.builder.display.ticker import Ticker
    from pybuild.builder.display.tty import TtyDisplay, terminal_size

    display = TtyDisplay(
        stream,
        colors=colors_from(env),
        log_lines=_number(env.get("BUILDKIT_TTY_LOG_LINES"), 6),
        clock=time.monotonic,
        measure=lambda: terminal_size(stream),
    )
    rate = _number(env.get("TTY_DISPLAY_RATE"), 100) / 1000
    return OpenDisplay(display, Ticker(display.refresh, max(rate, 0.02)), tells_log=lambda: bool(display.failed))


def _plain(stream: TextIO, env: Mapping[str, str]) -> OpenDisplay:
    from pybuild.builder.display.plain import PlainDisplay
    from pybuild.builder.display.ticker import Ticker

    display = PlainDisplay(stream, name_limit=72 if env.get("PROGRESS_NO_TRUNC") == "0" else None)
    return OpenDisplay(display, Ticker(display.refresh, _REFRESH))


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < _DIGITS else default
