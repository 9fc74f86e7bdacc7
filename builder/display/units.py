"""Sizes, durations and ages as Docker's tools write them."""

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def human_size(size: float) -> str:
    """Return a decimal size with three significant digits: ``0B``, ``5.59MB``, ``123kB``."""
    unit = 0
    # 999.5 and more would be shown as 1e+03 of the smaller unit.
    while size >= 999.5 and unit < len(_SIZES) - 1:
        size /= 1000
        unit += 1
    return f"{size:.3g}{_SIZES[unit]}"


def progress_size(size: float) -> str:
    """Return a decimal size with two decimals: ``31B``, ``3.40MB``."""
    unit = 0
    while size >= 1000 and unit < len(_SIZES) - 1:
        size /= 1000
        unit += 1
    return f"{size:.2f}{_SIZES[unit]}" if unit else f"{size:.0f}B"


def clock(seconds: float) -> str:
    """Return the time of a log line: three decimals below 10 s, two below 100 s, else one."""
    if seconds < 10:
        return f"{seconds:.3f}"
    return f"{seconds:.2f}" if seconds < 100 else f"{seconds:.1f}"


def human_duration(seconds: float) -> str:
    """Return an age in words: ``Less than a second``, ``About a minute``, ``3 weeks``."""
    whole = int(seconds)
    # From one hour on, minutes are rounded to hours, as Docker does.
    hours = int(seconds / _HOUR + 0.5)
    limits: tuple[tuple[bool, str], ...] = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < _MINUTE, f"{whole} seconds"),
        (whole < 2 * _MINUTE, "About a minute"),
        (whole < _HOUR, f"{whole // _MINUTE} minutes"),
        (hours <= 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    return next((text for holds, text in limits if holds), f"{int(seconds) // _DAY // 365} years")
