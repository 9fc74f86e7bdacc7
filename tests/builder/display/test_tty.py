import io
import re

import pytest

from pybuild.builder.display.colors import NO_COLORS, Colors, colors_from
from pybuild.builder.display.tty import TtyDisplay
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepsPlanned, StepStarted, StepStatus, Warned


class Screen:
    """A display on a terminal that remembers; `frame` is what the last painting showed."""

    def __init__(self, columns: int = 51, lines: int = 24, colors: Colors = NO_COLORS, log_lines: int = 6) -> None:
        self.size = (columns, lines)
        self.now = 0.0
        self.stream = io.StringIO()
        self.display = TtyDisplay(
            self.stream, colors=colors, log_lines=log_lines, clock=lambda: self.now, measure=lambda: self.size
        )

    def after(self, *events: Event, now: float) -> str:
        for event in events:
            self.display(event)
        self.stream.truncate(0)
        self.stream.seek(0)
        self.now = now
        self.display.refresh(now)
        return self.raw()

    def raw(self) -> str:
        return self.stream.getvalue()

    def frame(self, *events: Event, now: float) -> str:
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "", self.after(*events, now=now))

    def closed(self) -> str:
        self.stream.truncate(0)
        self.stream.seek(0)
        self.display.close()
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "", self.raw())


PLAN = StepsPlanned(total=4)
START = StepStarted(step=1, name="[1/2] FROM debian", at=0.0)
CACHED = StepFinished(step=1, cached=True, at=0.01)
RUN = StepStarted(step=2, name="[2/2] RUN make", at=1.0)


def test_a_running_build_shows_a_line_per_step_with_its_time_at_the_right() -> None:
    output = StepOutput(step=2, stream=1, data=b"cc a.c\n\x1b[2Jcc\tb.c\n", at=2.0)
    assert Screen().frame(PLAN, START, CACHED, RUN, output, now=4.2) == (
        "[+] Building 4.2s (1/4)\n"
        " => CACHED [1/2] FROM debian                  0.0s\n"
        " => [2/2] RUN make                            3.2s\n"
        " => => # cc a.c\n"
        " => => # cc      b.c\n"
    )


def test_the_last_frame_says_that_it_is_finished() -> None:
    screen = Screen()
    screen.frame(PLAN, START, CACHED, RUN, StepFinished(step=2, at=3.5), Warned(message="old", line=2), now=4.0)
    assert screen.closed() == (
        "[+] Building 4.0s (2/2) FINISHED\n"
        " => CACHED [1/2] FROM debian                  0.0s\n"
        " => [2/2] RUN make                            2.5s\n"
        "\n 1 warning found:\n - old (line 2)\n"
    )
    assert screen.raw().endswith("\x1b[?25h")


def test_a_failed_build_says_so_and_shows_the_whole_log_of_the_step() -> None:
    screen = Screen()
    printed = StepOutput(step=2, stream=1, data=b"".join(b"line %d\n" % n for n in range(40)) + b"last", at=2.0)
    failed = StepFinished(step=2, error="exit code: 1", at=3.5)
    screen.frame(PLAN, START, CACHED, RUN, printed, failed, now=4.0)
    log = "".join(f"1.000 line {n}\n" for n in range(40)) + "2.500 last\n"
    assert screen.closed() == (
        "[+] Building 4.0s (1/4) FAILED\n"
        " => CACHED [1/2] FROM debian                  0.0s\n"
        " => ERROR [2/2] RUN make                      2.5s\n"
        f"------\n > [2/2] RUN make:\n{log}------\n"
    )


def test_an_interrupted_build_is_not_finished() -> None:
    screen = Screen()
    screen.frame(PLAN, START, CACHED, RUN, StepFinished(step=2, cancelled=True, at=3.5), now=4.0)
    assert screen.closed().startswith("[+] Building 4.0s (1/4) CANCELED\n")


def test_nothing_is_painted_when_nothing_was_begun() -> None:
    screen = Screen()
    assert screen.after(now=1.0) == ""
    assert screen.closed() == ""


def test_no_count_is_shown_before_the_steps_are_known() -> None:
    screen = Screen()
    assert screen.frame(START, now=1.0).splitlines()[0] == "[+] Building 1.0s"
    assert screen.frame(PLAN, now=2.0).splitlines()[0] == "[+] Building 2.0s (0/4)"


def test_what_a_carriage_return_overwrites_is_not_shown() -> None:
    output = StepOutput(step=2, stream=1, data=b"one\nbar 10%\rbar 20%\rbar 30%", at=2.0)
    assert Screen().frame(START, CACHED, RUN, output, now=2.0).splitlines()[3:] == [" => => # one", " => => # bar 30%"]


@pytest.mark.parametrize("columns", [41, 80, 90, 120])
def test_names_are_cut_before_the_numbers_of_a_row(columns: int) -> None:
    status = StepStatus(step=1, id="sha256:" + "a" * 64, current=36_080_000, total=72_160_000, done=False, at=0.2)
    row = Screen(columns=columns).frame(START, status, now=1.0).splitlines()[2]
    assert len(row) == columns - 1
    assert row.startswith(" => => sha256:a")
    assert re.search(r"a 36\.08MB / 72\.16MB +0\.8s$", row)


def test_parts_of_a_step_have_lines_of_their_own() -> None:
    status = StepStatus(step=1, id="sha256:abc", current=1_500_000, total=3_000_000, done=False, at=0.2)
    assert Screen().frame(START, status, now=1.0) == (
        "[+] Building 1.0s\n"
        " => [1/2] FROM debian                         1.0s\n"
        " => => sha256:abc 1.50MB / 3.00MB             0.8s\n"
    )


def test_a_frame_starts_where_the_last_one_started() -> None:
    screen = Screen()
    assert "A" not in screen.after(START, now=1.0).replace("\x1b[?25l", "").split("[+]")[0]
    assert "\r\x1b[2A[+]" in screen.after(RUN, now=1.1)
    assert "\r\x1b[3A[+]" in screen.after(now=1.2)


def test_a_terminal_that_became_narrower_is_repainted_from_the_wrapped_start() -> None:
    screen = Screen(columns=81)
    screen.after(START, RUN, now=1.0)
    screen.size = (41, 24)
    # The header fits into one row, each 80 columns wide step has become two.
    assert "\x1b[5A" in screen.after(now=1.1)


def test_a_low_terminal_shows_what_runs_and_fewer_log_lines() -> None:
    screen = Screen(lines=5)
    output = StepOutput(step=2, stream=1, data=b"1\n2\n3\n4\n", at=2.0)
    assert screen.frame(START, CACHED, RUN, output, now=2.0).splitlines() == [
        "[+] Building 2.0s",
        " => CACHED [1/2] FROM debian                  0.0s",
        " => [2/2] RUN make                            1.0s",
        " => => # 4",
    ]
    screen.size = (51, 3)
    assert screen.frame(now=2.0).splitlines() == [
        "[+] Building 2.0s",
        " => [2/2] RUN make                            1.0s",
    ]


def test_long_and_wide_names_are_cut_to_the_line() -> None:
    screen = Screen(columns=31)
    lines = screen.frame(StepStarted(step=1, name="漢字" * 20, at=0), now=0.0).splitlines()
    assert lines[1] == " => " + "漢字" * 5 + " " + " 0.0s"


def test_finished_steps_have_colours_and_no_color_takes_them_away() -> None:
    assert "\x1b[34m => CACHED" in Screen(colors=colors_from({})).after(START, CACHED, now=1.0)
    cancelled = StepFinished(step=1, cancelled=True, at=1)
    assert "\x1b[33m => CANCELED" in Screen(colors=colors_from({})).after(START, cancelled, now=1.0)
    assert "m => " not in Screen(colors=colors_from({"NO_COLOR": "1"})).after(START, CACHED, now=1.0)
