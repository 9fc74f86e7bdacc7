import pytest

from pybuild.builder.display.units import clock, human_duration, human_size, progress_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (5_590_000, "5.59MB"),
        (123_456, "123kB"),
        (999_600, "1MB"),
        (10**18, "1EB"),
    ],
)
def test_sizes_have_three_significant_digits(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(("size", "text"), [(31, "31B"), (3_400_000, "3.40MB"), (1000, "1.00kB")])
def test_sizes_in_progress_have_two_decimals(size: int, text: str) -> None:
    assert progress_size(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2061, "0.206"), (12.345, "12.35"), (123.45, "123.5")])
def test_times_of_log_lines_lose_decimals_as_they_grow(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_ages_are_the_words_of_docker(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text
