"""``check=skip=A,B;error=true;experimental=all``: the selection of checks, for a file and for instructions.

The value is in a directive at the top of the file or in a comment directly above an instruction. In a comment it ends
at the first space, so that a reason may follow; a malformed one is an ordinary comment there.
"""

from bisect import bisect_right
from collections.abc import Iterable

from pybuild.grammar.dockerfile.directives import match_directive
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.rules import Rule, Violation
from pybuild.grammar.nodes import Dockerfile
from pybuild.grammar.parse_go import SPACE, parse_bool, quote
from pybuild.grammar.source import Span
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import frozen

_ALL = "all"
_KEYS = ("skip", "error", "experimental")


@frozen
class CheckOptions:
    """A selection. *skip* and *experimental* have names of rules, of which ``all`` means every rule."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def counts(self, rule: Rule) -> bool:
        """Return whether violations of *rule* are reported. ``skip=all`` does not skip requested experimental ones."""
        if rule.experimental:
            return bool({rule.name, _ALL} & self.experimental) and rule.name not in self.skip
        return not {rule.name, _ALL} & self.skip

    def merged(self, other: "CheckOptions") -> "CheckOptions":
        """Return both selections merged; only that of the file decides whether violations are errors."""
        return CheckOptions(
            skip=self.skip | other.skip, experimental=self.experimental | other.experimental, error=self.error
        )


def parse_options(text: str, span: Span | None = None) -> CheckOptions:
    """Read the value of a directive at *span*.

    Raises:
        DockerfileError: an option is unknown or malformed.
    """
    given: dict[str, str] = {}
    for part in text.strip(SPACE).split(";", len(_KEYS) - 1) if text.strip(SPACE) else ():
        key, equals, value = part.partition("=")
        key = key.strip(SPACE)
        if not equals or key not in _KEYS:
            hint = did_you_mean(key, _KEYS) or "options are skip=RULE,..., error=true and experimental=RULE,..."
            raise _failure(f"invalid check option {quote(key if equals else part)}", span, hint)
        given[key] = value.strip(SPACE)
    return CheckOptions(
        skip=_names(given.get("skip", "")),
        experimental=_names(given.get("experimental", "")),
        error=_error(given.get("error"), span),
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip(SPACE) for name in text.split(",")) - {""}


def _error(text: str | None, span: Span | None) -> bool:
    try:
        return text is not None and parse_bool(text)
    except ValueError:
        message = f"failed to parse check option {quote(f'error={text}')}: invalid boolean"
        raise _failure(message, span, "write error=true or error=false") from None


def _failure(message: str, span: Span | None, hint: str) -> DockerfileError:
    return DockerfileError(f"failed to parse check options: {message}", span, hint)


def file_options(dockerfile: Dockerfile, override: str | None = None) -> CheckOptions:
    """Return the options of a file, or those of *override* (of the command line).

    Raises:
        DockerfileError: they are malformed.
    """
    if override is not None:
        return parse_options(override)
    for found in dockerfile.directives:
        if found.key == "check":
            return parse_options(found.value, found.span)
    return CheckOptions()


def comment_options(comment: str) -> CheckOptions:
    """Return the options in the comment above an instruction: the first ``check=`` in it."""
    for line in comment.split("\n"):
        if text := check_of(line):
            try:
                return parse_options(text)
            except DockerfileError:
                return CheckOptions()
    return CheckOptions()


def check_of(line: str) -> str | None:
    """Return the value of the line of a comment that is ``check=value``, else None."""
    found = match_directive(f"# {line}", 0)
    return found.value.split(" ", 1)[0] if found is not None and found.key == "check" else None


def counted(violations: Iterable[Violation], dockerfile: Dockerfile, options: CheckOptions) -> tuple[Violation, ...]:
    """Return those of *violations* that are reported, each once, in the order of the file."""
    nodes = dockerfile.instructions
    if not nodes:
        return ()
    starts = [node.span.start for node in nodes]

    def counts(violation: Violation) -> bool:
        node = nodes[max(0, bisect_right(starts, violation.span.start) - 1)]
        return options.merged(comment_options(node.comment)).counts(violation.rule)

    return tuple(sorted(dict.fromkeys(filter(counts, violations)), key=lambda violation: violation.span.start))
