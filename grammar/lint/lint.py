"""The build checks that the text alone decides: one small function per rule.

`file_violations` checks every instruction, as BuildKit does while it parses; `stage_violations` checks the instructions
of one stage that will be built, including the ONBUILD triggers of its base. Messages have the names of instructions as
written: ``cmd`` stays ``cmd``.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence

from pybuild.grammar.dockerfile.logical_lines import WHITE, split_first
from pybuild.grammar.lint import rules
from pybuild.grammar.lint.options import check_of
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.nodes import (
    Arg,
    Cmd,
    Dockerfile,
    Entrypoint,
    Env,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
)
from pybuild.grammar.parse_go import SPACE, quote
from pybuild.grammar.source import Source, Span

_RESERVED = frozenset({"context", "scratch"})
_GAP = re.compile(f"[{WHITE}]+")

FileRule = Callable[[Dockerfile, Source], Iterator[Violation]]
StageRule = Callable[[Sequence[Instruction]], Iterator[Violation]]


def keyword(node: Instruction) -> str:
    """Return the name of the instruction as it is written."""
    return split_first(node.original)[0]


def file_violations(dockerfile: Dockerfile, source: Source) -> Iterator[Violation]:
    """Yield every violation of a rule about the file as a whole."""
    for rule in _FILE_RULES:
        yield from rule(dockerfile, source)


def stage_violations(body: Sequence[Instruction]) -> Iterator[Violation]:
    """Yield every violation of a rule about the instructions of one stage."""
    for rule in _STAGE_RULES:
        yield from rule(body)


def _heads(dockerfile: Dockerfile) -> Iterator[tuple[From, str, str]]:
    """Yield each FROM that has a name, with its ``AS`` and the name as written."""
    for node in dockerfile.instructions:
        if isinstance(node, From) and node.name is not None:
            *_, word, name = _GAP.split(node.original)
            yield node, word, name


def _stage_name_casing(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    for node, word, name in _heads(dockerfile):
        if name != name.lower():
            message = f"Stage name '{name}' should be lowercase"
            yield _broken(rules.STAGE_NAME_CASING, message, node, f"write {word} {name.lower()}")


def _from_as_casing(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    for node, word, _name in _heads(dockerfile):
        written = keyword(node)
        # A FROM in mixed case violates another rule already.
        wanted = {written.lower(): word.lower(), written.upper(): word.upper()}.get(written, word)
        if word != wanted:
            message = f"'{word}' and '{written}' keywords' casing do not match"
            yield _broken(rules.FROM_AS_CASING, message, node, f"write {wanted} instead of {word}")


def _no_empty_continuation(dockerfile: Dockerfile, source: Source) -> Iterator[Violation]:
    covered = -1
    for name, span in dockerfile.warnings:
        # One report for an instruction, however many empty lines it has.
        if name == rules.NO_EMPTY_CONTINUATION.name and span.start > covered:
            place = _last_row(source.text, span.start, dockerfile.escape)
            covered = place.end
            hint = "remove the empty lines above, or turn them into comments"
            yield Violation(rule=rules.NO_EMPTY_CONTINUATION, message="Empty continuation line", span=place, hint=hint)


def _last_row(text: str, start: int, escape: str) -> Span:
    """Return the last row of the instruction with the empty row at *start*: the one that BuildKit reports."""
    place = Span(start, start)
    while start < len(text):
        end = text.find("\n", start)
        place = Span(start, end if end >= 0 else len(text))
        bare = text[place.start : place.end].strip(SPACE)
        continued = bare.endswith(escape) and not bare.endswith(escape * 2)
        if bare and not bare.startswith("#") and not continued:
            break
        start = place.end + 1
    return place


def _consistent_instruction_casing(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    # Global arguments neither count for the majority nor are checked.
    first = next((i for i, node in enumerate(dockerfile.instructions) if isinstance(node, From)), 0)
    words = [(node, keyword(node)) for node in dockerfile.instructions[first:]]
    lower = sum(word == word.lower() for _, word in words)
    upper = sum(word == word.upper() for _, word in words)
    change, name = (str.lower, "lowercase") if lower > upper else (str.upper, "uppercase")
    for node, word in words:
        if word != change(word):
            message = f"Command '{word}' should match the case of the command majority ({name})"
            yield _broken(rules.CONSISTENT_INSTRUCTION_CASING, message, node, f"write {change(word)}")


def _duplicate_stage_name(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    seen: set[str] = set()
    for node, _word, written in _heads(dockerfile):
        name = written.lower()
        if name in seen:
            message = f"Duplicate stage name {quote(name)}, stage names should be unique"
            yield _broken(rules.DUPLICATE_STAGE_NAME, message, node, "give one of the stages another name")
        seen.add(name)


def _reserved_stage_name(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    for node, _word, written in _heads(dockerfile):
        if (name := written.lower()) in _RESERVED:
            message = f"Stage name should not use the same name as reserved stage {quote(name)}"
            yield _broken(rules.RESERVED_STAGE_NAME, message, node, "give the stage another name")


def _maintainer_deprecated(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    for node in dockerfile.instructions:
        if isinstance(node, Maintainer):
            hint = f"write LABEL org.opencontainers.image.authors={json.dumps(node.name.text, ensure_ascii=False)}"
            message = "Maintainer instruction is deprecated in favor of using label"
            yield _broken(rules.MAINTAINER_DEPRECATED, message, node, hint)


def _invalid_definition_description(dockerfile: Dockerfile, _: Source) -> Iterator[Violation]:
    for node in dockerfile.instructions:
        names = _defined(node)
        last = _last_comment(node.comment)
        if not names or not last or last.split(" ")[0] in names:
            continue
        example = names[0] if len(names) == 1 else "<arg_key>"
        name = "FROM" if isinstance(node, From) else "ARG"
        message = f"Comment for {name} should follow the format: `# {example} <description>`"
        hint = f"start the comment with {' or '.join(names)}, or put an empty line below it"
        yield _broken(rules.INVALID_DEFINITION_DESCRIPTION, message, node, hint)


def _defined(node: Instruction) -> tuple[str, ...]:
    if isinstance(node, Arg):
        return tuple(name for name, _ in node.items)
    return (node.name,) if isinstance(node, From) and node.name is not None else ()


def _last_comment(comment: str) -> str:
    return next((line for line in reversed(comment.split("\n")) if check_of(line) is None), "")


def _legacy_key_value_format(body: Sequence[Instruction]) -> Iterator[Violation]:
    for node in body:
        if isinstance(node, Env | Label) and node.legacy:
            name = keyword(node)
            message = f'"{name} key=value" should be used instead of legacy "{name} key value" format'
            (key, value) = node.pairs[0]
            yield _broken(
                rules.LEGACY_KEY_VALUE_FORMAT, message, node, f"write {name} {key.text}={_quoted(value.text)}"
            )


def _quoted(text: str) -> str:
    """Return *text* quoted as one word; text that has quotes already is returned unchanged."""
    if not _GAP.search(text) or '"' in text or "'" in text:
        return text
    return f'"{text}"'


def _multiple_instructions_disallowed(body: Sequence[Instruction]) -> Iterator[Violation]:
    last: dict[type, Instruction] = {}
    for node in body:
        if isinstance(node, Cmd | Entrypoint | Healthcheck):
            # The one that is overridden is reported.
            if (earlier := last.get(type(node))) is not None:
                name = keyword(node)
                only = "because only the last one will be used"
                message = f"Multiple {name} instructions should not be used in the same stage {only}"
                yield _broken(rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, message, earlier, f"remove this {name}")
            last[type(node)] = node


def _broken(rule: rules.Rule, message: str, node: Instruction, hint: str = "") -> Violation:
    return Violation(rule=rule, message=message, span=node.span, hint=hint)


_FILE_RULES: tuple[FileRule, ...] = (
    _stage_name_casing,
    _from_as_casing,
    _no_empty_continuation,
    _consistent_instruction_casing,
    _duplicate_stage_name,
    _reserved_stage_name,
    _maintainer_deprecated,
    _invalid_definition_description,
)
_STAGE_RULES: tuple[StageRule, ...] = (_legacy_key_value_format, _multiple_instructions_disallowed)
