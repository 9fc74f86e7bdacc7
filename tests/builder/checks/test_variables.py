"""The names that an instruction uses, and suggestions for unknown ones."""

import pytest

from pybuild.builder.checks.variables import Guesses, names_in, used_names
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.source import Source


def used(instruction: str) -> list[str]:
    dockerfile = parse(Source("Dockerfile", f"FROM x\n{instruction}\n"))
    return used_names(dockerfile.instructions[-1], "\\")


@pytest.mark.parametrize(
    ("instruction", "names"),
    [
        ("COPY --chown=$OWNER $A/$B ${C:-d} /", ["OWNER", "A", "B", "C"]),
        ("ADD --checksum=$SUM http://x/$F /", ["SUM", "F"]),
        ("ENV a=$x b='$y' c=\\$z", ["x"]),
        ("WORKDIR $HOME", ["HOME"]),
        # The shell of the step expands its command, and BuildKit does not look at these two.
        ("RUN echo $name", []),
        ("ARG a=$b", []),
        ("EXPOSE $port", []),
        ("RUN --mount=type=cache,target=$dir,id=$dir,from=$stage true", ["dir"]),
        ("COPY <<EOF /f\n$body \\$not\nEOF", ["body"]),
        ("COPY <<'EOF' /f\n$body\nEOF", []),
    ],
)
def test_words_are_searched_in_their_order_and_each_name_counts_once(instruction: str, names: list[str]) -> None:
    assert used(instruction) == names


def test_a_word_that_is_taken_as_it_stands_uses_no_name() -> None:
    (node,) = parse(Source("Dockerfile", "FROM $base\n")).instructions
    assert names_in(node.image, "\\") == ["base"]  # type: ignore[union-attr]


def test_a_guess_respects_case_as_buildkit_does_or_ignores_it() -> None:
    guesses = Guesses()
    assert guesses.closest("VERSIO", ["VERSION", "OTHER"]) == "VERSION"
    assert guesses.closest("version", ["VERSION"]) is None
    assert guesses.folded("version", ["VERSION"]) == "VERSION"


def test_guesses_end_after_the_first_ones() -> None:
    guesses = Guesses(most=1)
    assert [guesses.closest("VERSIO", ["VERSION"]) for _ in range(2)] == ["VERSION", None]
    assert guesses.folded("versio", ["VERSION"]) is None
