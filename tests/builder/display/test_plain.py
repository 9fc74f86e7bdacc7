import io

from pybuild.builder.display.plain import PlainDisplay
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepStarted, StepStatus, Warned


def shown(*events: Event | float, close: bool = True, name_limit: int | None = None) -> str:
    """Return what a display writes for *events*; a number is the time of a refresh."""
    stream = io.StringIO()
    display = PlainDisplay(stream, name_limit=name_limit)
    for event in events:
        if isinstance(event, float):
            display.refresh(event)
        else:
            display(event)
    if close:
        display.close()
    return stream.getvalue()


def start(step: int, name: str = "[2/3] RUN x", at: float = 0.0) -> StepStarted:
    return StepStarted(step=step, name=name, at=at)


def out(step: int, data: bytes, at: float, stream: int = 1) -> StepOutput:
    return StepOutput(step=step, stream=stream, data=data, at=at)


def test_a_build_is_one_block_per_step() -> None:
    text = shown(
        start(1, "[internal] load build definition from Dockerfile"),
        StepStatus(step=1, id="transferring dockerfile:", current=31, total=0, done=True, at=0.004),
        StepFinished(step=1, at=0.01),
        start(2, "[1/2] FROM docker.io/library/debian", 0.02),
        StepFinished(step=2, cached=True, at=0.03),
        start(3, "[2/2] RUN make", 1.0),
        out(3, b"one\ntwo\n", 1.2),
        out(3, b"three", 13.34),
        StepFinished(step=3, at=14.0),
    )
    assert text == (
        "#1 [internal] load build definition from Dockerfile\n"
        "#1 transferring dockerfile: 31B done\n"
        "#1 DONE 0.0s\n"
        "\n"
        "#2 [1/2] FROM docker.io/library/debian\n"
        "#2 CACHED\n"
        "\n"
        "#3 [2/2] RUN make\n"
        "#3 0.200 one\n"
        "#3 0.200 two\n"
        "#3 12.34 three\n"
        "#3 DONE 13.0s\n"
    )


def test_a_step_that_runs_silently_is_shown_by_the_refresh() -> None:
    assert shown(start(1, "a"), 0.15, close=False) == "#1 a\n"


def test_switching_away_leaves_a_mark_and_no_output_is_lost() -> None:
    text = shown(
        start(1, "a"),
        start(2, "b"),
        out(1, b"a1\npart", 0.1),
        out(2, b"b1\n", 0.2),
        0.3,
        StepFinished(step=2, at=0.5),
        0.6,
        out(1, b"ial\n", 0.7),
        StepFinished(step=1, error="exit code: 1", at=0.8),
    )
    assert text == (
        "#1 a\n#1 0.100 a1\n#1 ...\n\n"
        "#2 b\n#2 0.200 b1\n#2 DONE 0.5s\n\n"
        "#1 a\n#1 0.100 partial\n#1 ERROR: exit code: 1\n"
    )


def test_a_waiting_step_gets_its_turn_after_ten_seconds_or_when_the_current_one_is_silent() -> None:
    chatter: list[Event | float] = [out(1, b".\n", at / 2) for at in range(1, 21)]
    busy = shown(start(1, "a"), start(2, "b"), out(1, b".\n", 0.0), out(2, b"b\n", 0.1), *chatter, 10.05, close=False)
    assert "#2" not in busy
    assert shown(start(1, "a"), start(2, "b"), out(1, b".\n", 0.0), out(2, b"b\n", 0.1), *chatter, 10.2).endswith(
        "#1 ...\n\n#2 b\n#2 0.100 b\n"
    )
    quiet = shown(start(1, "a"), start(2, "b"), out(1, b".\n", 0.0), out(2, b"b\n", 0.1), 5.1, close=False)
    assert quiet.endswith("#1 ...\n\n#2 b\n#2 0.100 b\n")


def test_much_waiting_output_is_written_rather_than_kept() -> None:
    line = b"x" * 1000 + b"\n"
    text = shown(start(1, "a"), out(1, b"a\n", 0.0), start(2, "b"), *[out(2, line, 0.1)] * 66, close=False)
    assert text.count("#2 0.100 ") == 66


def test_a_cancelled_step_and_one_with_a_long_name() -> None:
    assert (
        shown(start(7, "n" * 80), StepFinished(step=7, cancelled=True, error="x", at=1), name_limit=72)
        == f"#7 {'n' * 72}...\n#7 CANCELED\n"
    )


def test_a_download_is_shown_when_it_has_moved_by_a_twentieth() -> None:
    def moved(current: int, at: float, *, done: bool = False) -> StepStatus:
        return StepStatus(step=1, id="sha256:abc", current=current, total=1000_000, done=done, at=at)

    text = shown(
        start(1, "pull"),
        moved(0, 1),
        moved(20_000, 2),
        moved(60_000, 3),
        moved(61_000, 9),
        moved(1000_000, 9.5, done=True),
    )
    assert text == (
        "#1 pull\n#1 sha256:abc 0B / 1.00MB\n#1 sha256:abc 60.00kB / 1.00MB 2.0s\n"
        "#1 sha256:abc 61.00kB / 1.00MB 8.0s\n#1 sha256:abc 1.00MB / 1.00MB 8.5s done\n"
    )


def test_nothing_that_a_step_prints_reaches_the_terminal_as_a_command() -> None:
    text = shown(
        start(1, "RUN \x1b]0;x\x07echo\nsecond"),
        out(1, b"\033]0;pwn\007\033[2J\033[1A#1 DO", 0.1),
        out(1, b"NE\r", 0.1),
        StepFinished(step=1, error="bad\x1b[1m name", at=0.2),
        Warned(message="w\x1b[5m", line=3),
    )
    assert text == "#1 RUN echo second\n#1 0.100 #1 DONE\n#1 ERROR: bad name\n\n 1 warning found:\n - w (line 3)\n"


def test_warnings_are_listed_once_in_the_order_of_the_file() -> None:
    twice = Warned(message="LegacyKeyValueFormat: x", line=9)
    assert (
        shown(twice, Warned(message="no place"), twice)
        == "\n 2 warnings found:\n - no place\n - LegacyKeyValueFormat: x (line 9)\n"
    )


def test_of_a_line_that_is_written_over_the_last_text_is_shown() -> None:
    bar = b"".join(b"\rfetched %d%%" % n for n in range(100))
    text = shown(start(1, "a"), out(1, b"begin\n" + bar[:300], 0.1), out(1, bar[300:] + b"\rdone\r\n", 0.2))
    assert text == "#1 a\n#1 0.100 begin\n#1 0.100 done\n"


def test_an_unfinished_line_is_shown_when_its_step_falls_silent() -> None:
    text = shown(start(1, "a"), out(1, b"loading...", 0.1), 1.0, 2.5, out(1, b"\rloaded\n", 3.0), close=False)
    assert text == "#1 a\n#1 0.100 loading...\n#1 3.000 loaded\n"
