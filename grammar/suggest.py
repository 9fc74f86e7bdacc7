"""Did you mean: the most similar of some known names."""

from collections.abc import Iterable

# With more edits than this, a name is rather another word than a misspelling.
_FARTHEST = 2


def closest(word: str, candidates: Iterable[str], *, fold: bool = True) -> str | None:
    """Return the candidate closest to *word*, by at most two edits; the first of equal ones. *fold*: ignore case.

    None when there is none, or when *word* itself is a candidate, because then the mistake is elsewhere.
    """
    names = tuple(candidates)
    spelled = str.lower if fold else str
    if word in names:
        return None
    best, limit = None, _FARTHEST
    for name in names:
        distance = _distance(spelled(word), spelled(name), limit)
        if distance <= limit:
            # From now on, only a closer one counts.
            best, limit = name, distance - 1
    return best


def did_you_mean(word: str, candidates: Iterable[str], prefix: str = "") -> str:
    """Return the hint ``did you mean "..."?``, or ""."""
    near = closest(word, candidates)
    return f'did you mean "{prefix}{near}"?' if near else ""


def _distance(one: str, other: str, limit: int) -> int:
    """Count the edits (insert, delete, replace) from *one* to *other*; anything over *limit* comes back as more."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (char != wanted))
    return row[-1]
