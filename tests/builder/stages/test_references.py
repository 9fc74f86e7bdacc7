"""``--from=`` of COPY and ``from=`` of mounts: which stage is meant."""

import pytest

from pybuild.builder.errors import ResolveError
from tests.helpers.resolving import marked, stages_of

HEAD = "ARG G=one\nARG EMPTY\nFROM base AS one\nFROM base AS two\n"


def inputs(instruction: str, head: str = HEAD) -> tuple[object, ...]:
    """The inputs of an instruction in a third stage."""
    stages = stages_of(f"{head}FROM base\n{instruction}\n")
    return stages.by_index(stages.target).steps[-1].inputs


@pytest.mark.parametrize("word", ["one", "ONE", "0", "+0", "${G}", "${G:-two}"])
def test_a_stage_is_found_by_name_number_or_a_global_variable(word: str) -> None:
    assert inputs(f"COPY --from={word} a b") == inputs("COPY --from=0 a b")
    assert inputs("COPY --from=two a b") != inputs("COPY --from=0 a b")


def test_of_two_stages_with_one_name_the_later_one_above_counts() -> None:
    assert inputs("COPY --from=one a b", HEAD.replace("two", "one")) == inputs("COPY --from=1 a b")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("COPY --from=2 a b", "circular dependency detected on stage: stage-2", "a stage cannot use its own result"),
        ("COPY --from=9 a b", "invalid stage index 9", "stages before this one are numbered 0 to 1"),
        (
            "COPY --from=late a b\nFROM base AS late",
            'cannot copy from stage "late", it needs to be defined before',
            "above",
        ),
        (
            "RUN --mount=from=late,target=/m x\nFROM base AS late",
            'cannot mount from stage "late" to "/m"',
            "above this",
        ),
        ("COPY --from=$X a b", "variable expansion is not supported for --from", "write ARG X=... before the first"),
        ("RUN --mount=from=$X,target=/m x", "'from' doesn't support variable expansion", "write ARG X=..."),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_message_of_buildkit(text: str, message: str, hint: str) -> None:
    dockerfile = f"{HEAD}FROM base\n{text}\n"
    with pytest.raises(ResolveError) as refusal:
        stages_of(dockerfile, target="2")
    assert refusal.value.message.startswith(message)
    assert hint in refusal.value.hint
    assert marked(dockerfile, refusal.value.span) in text


def test_two_stages_that_use_each_other_are_a_loop() -> None:
    text = "FROM base AS one\nCOPY --from=two a b\nFROM base AS two\nCOPY --from=one a b\n"
    with pytest.raises(ResolveError, match="circular dependency detected on stage: one"):
        stages_of(text)
