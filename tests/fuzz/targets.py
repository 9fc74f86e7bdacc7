"""One function per reader. Each takes arbitrary text and fails when a promise of the reader is broken.

The promises: nothing but the documented error is raised, every span lies inside the text, and what the reader accepted
it accepts again after printing it. `tests/properties/test_fuzz_targets.py` runs the same functions on random input.
"""

from collections.abc import Callable

from pybuild.builder.caches.document import Remembered
from pybuild.builder.oci.errors import InvalidImage
from pybuild.grammar.dockerfile.mounts import read_mount
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.nodes import Node, Word
from pybuild.grammar.patterns import BadPattern, match
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.grammar.source import Source, Span
from pybuild.grammar.words.expand import expand, expand_all, variables

_SCOPE = {"a": "1", "b": "x y", "empty": ""}


def _check_span(span: Span | None, text: str) -> None:
    if span is not None:
        assert 0 <= span.start <= span.end <= len(text), (span, len(text))


def fuzz_parser(text: str) -> None:
    """Parse a Dockerfile."""
    source = Source("Dockerfile", text)
    try:
        dockerfile = parse(source)
    except DockerfileError as error:
        _check_span(error.span, text)
        error.render(source)
        return
    for node in dockerfile.instructions:
        assert isinstance(node, Node)
        _check_span(node.span, text)
        _check_again(text, node)


def _check_again(text: str, node: Node) -> None:
    """The text of an instruction alone, behind a FROM, means the same instruction."""
    alone = text[node.span.start : node.span.end]
    if "\x00" not in alone and "FROM" not in node.original.upper() and "escape" not in text.lower():
        again = parse(Source("Dockerfile", f"FROM scratch\n{alone}\n"))
        assert any(type(found) is type(node) for found in again.instructions[1:]), alone


def fuzz_words(text: str) -> None:
    """Expand a word in each of the three ways."""
    word = Word(text, Span(0, len(text)))
    for read in (expand, expand_all):
        try:
            read(word, _SCOPE)
        except DockerfileError as error:
            _check_span(error.span, text)
    assert all(variables(text))


def fuzz_ignore_file(text: str) -> None:
    """Read an ignore file and ask it about paths made of its own text."""
    try:
        ignore = IgnoreFile.parse(text)
    except DockerfileError as error:
        _check_span(error.span, text)
        return
    for path in [*text.split()[:4], "a/b/c"]:
        clean = path.strip("/")
        if clean:
            assert ignore.ignores(clean) == ignore.ignores(clean)


def fuzz_mount(text: str) -> None:
    """Read the value of RUN --mount."""
    try:
        flag = read_mount(Word(text, Span(0, len(text))))
    except DockerfileError as error:
        _check_span(error.span, text)
        return
    assert all(value.text is not None for _, value in flag.options)


def fuzz_reference(text: str) -> None:
    """Parse an image reference; its full spelling is a fixed point."""
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return
    assert parse_reference(str(reference)) == reference


def fuzz_pattern(text: str) -> None:
    """Match a pattern against its own text."""
    try:
        match(text, text)
    except BadPattern:
        return


def fuzz_cache_document(text: str) -> None:
    """Read the document of a shared cache."""
    try:
        remembered = Remembered.from_json(text.encode("utf-8", "surrogatepass"))
    except InvalidImage:
        return
    assert Remembered.from_json(remembered.to_json()) == remembered


TARGETS: dict[str, Callable[[str], None]] = {
    "parser": fuzz_parser,
    "words": fuzz_words,
    "ignorefile": fuzz_ignore_file,
    "mounts": fuzz_mount,
    "reference": fuzz_reference,
    "patterns": fuzz_pattern,
    "cachedocument": fuzz_cache_document,
}
