"""The target of ``--from=`` of COPY and ``from=`` of a mount: a stage by name or number, else something by name.

Only stages above the current one can be used. The messages are BuildKit's. Unlike in BuildKit, global variables are
expanded.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from pybuild.builder.errors import ResolveError
from pybuild.builder.stages.sections import Section, heads_of, last_named
from pybuild.builder.stages.stages import FromStage
from pybuild.grammar.nodes import Copy, Instruction, Run, Word
from pybuild.grammar.words.expand import expand, variables
from pybuild.runtime.values import frozen

# What Go's strconv.Atoi reads is the number of a stage to BuildKit, also with a sign.
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_COPY_VARIABLE = (
    "variable expansion is not supported for --from, "
    "define a new stage with FROM using ARG from global scope as a workaround"
)
_MOUNT_VARIABLE = "'from' doesn't support variable expansion, define alias stage instead"


@frozen
class FromReference:
    """The word after ``from=``, and the target of the mount; None for COPY."""

    word: Word
    mounted: str | None = None


def references(node: Instruction) -> Iterator[FromReference]:
    """Yield the references of *node*."""
    match node:
        case Copy(from_=Word() as word):
            yield FromReference(word=word)
        case Run(mounts=mounts):
            for mount in mounts:
                source, target = mount.get("from"), mount.get("target")
                if source is not None:
                    yield FromReference(word=source, mounted=target.text if target else "")
        case _:
            return


@frozen
class Finder:
    """Finds stages among *sections*. *scope* holds the global variables, *declared* also those without a value."""

    sections: Sequence[Section]
    scope: Mapping[str, str]
    declared: frozenset[str]
    escape: str

    def text(self, reference: FromReference) -> str:
        """Return the word with its variables expanded.

        Raises:
            ResolveError: a variable is not a global one, so its value could differ from the one in the stage.
        """
        word = reference.word
        unknown = variables(word.text, escape=self.escape) - self.scope.keys() - self.declared
        if unknown:
            message = _COPY_VARIABLE if reference.mounted is None else _MOUNT_VARIABLE
            hint = f"only global arguments can be used here: write ARG {min(unknown)}=... before the first FROM"
            raise ResolveError(message, span=word.span, hint=hint)
        return expand(word, self.scope, escape=self.escape)

    def stage(self, reference: FromReference, current: int) -> int | None:
        """Return the stage above *current* that the word means; None when it is not a stage.

        Raises:
            ResolveError: there is no stage of that number, or the stage is *current* or stands below it.
        """
        text = self.text(reference)
        found = self._find(text, current)
        if found is None or found < current:
            self._check_number(text, found, reference.word, current)
            return found
        label = self.sections[current].label
        if self._reaches(found, current):
            message, hint = f"circular dependency detected on stage: {label}", "a stage cannot use its own result"
        else:
            message, hint = _not_yet(text, label, reference), "move the FROM of that stage above this one"
        raise ResolveError(message, span=reference.word.span, hint=hint)

    def _find(self, text: str, current: int) -> int | None:
        if _NUMBER.fullmatch(text):
            return int(text) if 0 <= int(text) < len(self.sections) else None
        heads = heads_of(self.sections)
        found = last_named(heads[:current], text)
        return last_named(heads, text) if found is None else found

    def _check_number(self, text: str, found: int | None, word: Word, current: int) -> None:
        if found is None and _NUMBER.fullmatch(text):
            hint = f"stages before this one are numbered 0 to {current - 1}" if current else "there is no earlier stage"
            raise ResolveError(f"invalid stage index {int(text)}", span=word.span, hint=hint)

    def _reaches(self, start: int, goal: int) -> bool:
        """Return whether stage *start* is, or depends on, stage *goal*."""
        waiting, seen = [start], set[int]()
        while waiting:
            index = waiting.pop()
            if index == goal:
                return True
            if index not in seen:
                seen.add(index)
                waiting.extend(self._inputs(index))
        return False

    def _inputs(self, index: int) -> Iterator[int]:
        section = self.sections[index]
        if isinstance(section.base, FromStage):
            yield section.base.index
        for node in section.body:
            for reference in references(node):
                found = self._find(self.text(reference), index)
                if found is not None:
                    yield found


def _not_yet(text: str, label: str, reference: FromReference) -> str:
    if reference.mounted is not None:
        target = reference.mounted
        return f'cannot mount from stage "{text}" to "{target}", stage needs to be defined before current command'
    return f'cannot copy from stage "{text}", it needs to be defined before current stage "{label}"'
