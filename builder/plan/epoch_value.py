"""The build argument SOURCE_DATE_EPOCH, and the numbers that it may be."""

EPOCH = "SOURCE_DATE_EPOCH"


def seconds_of(text: str) -> int | None:
    """Return the seconds since 1970 that *text* is; None when it names something that has a time, or is empty."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
