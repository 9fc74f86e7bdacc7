"""The report of a failure: the step, its last lines, the place in the Dockerfile, the error."""

from pybuild.builder.display.sanitize import clean, clean_line
from pybuild.builder.errors import BuildError, StepFailed
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Source

_RULE = "-" * 20
_MOST_LINES = 30
_LAST_LINES = 6
_WIDEST = 240
"""Characters of a line of the Dockerfile, or of the name of a step: one line may hold a whole script."""


def step_failure(error: StepFailed, source: Source | None, *, logged: bool = False) -> str:
    """Return the block for a step that failed, in BuildKit's shape; *source* is the Dockerfile.

    *logged* means that the log of the step was printed before.
    """
    log = [_kept(line) for line in error.output]
    head = [] if logged else ["------", f" > {_cut(clean_line(error.step))}:", *log, "------"]
    place = excerpt(source, *error.lines) if source is not None else []
    problem = f"ERROR: failed to build: failed to solve: {clean(error.message)}"
    return "\n".join([*head, *place, problem, *_hint(error.hint)]) + "\n"


def excerpt(source: Source, first: int, last: int) -> list[str]:
    """Return the lines *first* to *last* marked with ``>>>``, with up to four lines around them."""
    lines = source.text.split("\n")
    if not 1 <= first <= len(lines):
        return []
    last = min(max(first, last), len(lines))
    start, end = _widened(first, last, len(lines))
    numbered = ((n, ">>>" if first <= n <= last else "   ") for n in range(start, end + 1))
    shown = [f" {n:3} | {mark} {_cut(_kept(lines[n - 1]))}" for n, mark in numbered]
    if len(shown) > _MOST_LINES:
        # Of a long script the first lines locate it, and the last one shows that it is meant as a whole.
        left_out = f"     | ... {len(shown) - _MOST_LINES} lines more ..."
        shown = [*shown[: _MOST_LINES - _LAST_LINES], left_out, *shown[-_LAST_LINES:]]
    return [f"{clean_line(source.name)}:{first}", _RULE, *shown, _RULE]


def _widened(first: int, last: int, count: int) -> tuple[int, int]:
    # A single line gets more context than a block. Near an end of the file the other side gets the rest.
    room = 4 if first == last else 2
    used = 0
    while used < room:
        if first > 1:
            first, used = first - 1, used + 1
        if last < count:
            last, used = last + 1, used + 1
        used += 1
    return first, last


def language_failure(error: DockerfileError, source: Source) -> str:
    """Return the text for a mistake in the Dockerfile: place, excerpt with a marker, hint."""
    return clean(error.render(source)) + "\n"


def build_failure(error: BuildError, source: Source | None) -> str:
    """Return the text for any other failure of a build, located when *error* has a span."""
    if error.span is not None and source is not None:
        return language_failure(DockerfileError(error.message, error.span, error.hint), source)
    return plain_failure(error.message, error.hint)


def plain_failure(message: str, hint: str = "") -> str:
    """Return ``ERROR: message`` and the hint."""
    return "\n".join([f"ERROR: {clean(message)}", *_hint(hint)]) + "\n"


def _kept(line: str) -> str:
    return clean(line.rstrip("\r\n")).replace("\n", " ")


def _cut(line: str) -> str:
    return line if len(line) <= _WIDEST else line[:_WIDEST] + "..."


def _hint(hint: str) -> list[str]:
    return [f"hint: {clean(hint)}"] if hint else []
