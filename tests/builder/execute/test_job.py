"""What is shown of the packing of files."""

from pybuild.builder.execute.job import SlowFiles


def shown(*calls: tuple[float, str, int, int]) -> list[tuple[str, int, int]]:
    """What comes of *calls*, each at its own time: (seconds, path, bytes done, bytes in all)."""
    seen: list[tuple[str, int, int]] = []
    times = iter([seconds for seconds, *_ in calls])
    watch = SlowFiles(lambda *event: seen.append(event), lambda: next(times))
    for _, path, done, size in calls:
        watch(path, done, size)
    return seen


def test_files_that_are_packed_in_a_moment_are_not_shown() -> None:
    assert shown((0, "a", 0, 9), (1.9, "a", 9, 9), (2, "b", 0, 5), (3.9, "b", 4, 5), (3.95, "b", 5, 5)) == []


def test_a_slow_file_is_shown_now_and_then_and_at_its_end() -> None:
    calls = [(0, "a", 0, 9), (2, "a", 3, 9), (2.1, "a", 4, 9), (2.4, "a", 6, 9), (2.5, "a", 9, 9), (2.6, "b", 1, 2)]
    assert shown(*calls) == [("packing /a", 3, 9), ("packing /a", 6, 9), ("packing /a", 9, 9)]
