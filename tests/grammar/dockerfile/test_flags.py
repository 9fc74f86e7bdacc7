import pytest

from pybuild.grammar.dockerfile.flags import FLAGS, Flags, read_flags
from pybuild.grammar.dockerfile.logical_lines import Line, Piece
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Span


def _read(keyword: str, *written: str) -> Flags:
    text = " ".join(written)
    line = Line(text=text, span=Span(0, len(text)), marks=((0, 0),))
    return read_flags(keyword, [Piece(flag, text.index(flag), line) for flag in written])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("--chown=a", "a"),
        ('--chown="a b"', "a b"),
        ("--chown='a \"b'", 'a "b'),
        ("--chown=a\\ b", "a b"),
        ("--chown='a\\'b'", "a'b"),
        ('--chown="a', "a"),
        ('"--chown=a"', "a"),
        ("--chown=a=b", "a=b"),
        ("--chown=$A", "$A"),
        ("--chown='$A'", "$A"),
        ("--chown=a\\", "a"),
    ],
)
def test_quotes_and_escapes_of_a_flag_are_resolved_once(written: str, value: str) -> None:
    word = _read("copy", written).text("chown")

    assert word is not None
    assert word.text == value


def test_value_stands_behind_the_equals_sign() -> None:
    word = _read("copy", "--link", "--from=build").text("from")

    assert word is not None
    assert word.span == Span(14, 19)


def test_empty_value_counts_as_missing() -> None:
    assert _read("from", "--platform=").text("platform") is None


def test_repeatable_flag_keeps_its_order() -> None:
    assert [word.text for word in _read("copy", "--exclude=b", "--exclude=a").all("exclude")] == ["b", "a"]


def test_boolean_flag_is_unset_true_or_false() -> None:
    values = [_read("add", *flags).boolean("unpack") for flags in ((), ("--unpack",), ("--unpack=False",))]

    assert values == [None, True, False]


@pytest.mark.parametrize(
    ("keyword", "written", "message", "hint"),
    [
        ("copy", ("--form=a",), "unknown flag: --form", 'did you mean "--from"?'),
        ("copy", ("--=a",), "unknown flag: --", ""),
        ("user", ("--link",), "unknown flag: --link", ""),
        ("copy", ("--chown=a", "--chown=b"), "duplicate flag specified: --chown", ""),
        ("copy", ("--link", "--link"), "duplicate flag specified: --link", ""),
        ("copy", ("--chown",), "missing a value on flag: --chown", ""),
        ("copy", ("--exclude",), "missing a value on flag: --exclude", ""),
        ("copy", ("--link=",), "missing a value on flag: --link", ""),
        ("copy", ("--link=1",), "expecting boolean value for flag --link, not: 1", ""),
    ],
)
def test_wrong_flag_is_refused(keyword: str, written: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        _read(keyword, *written)

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_stable_flags_of_docker_are_known() -> None:
    assert {keyword: set(flags) for keyword, flags in FLAGS.items()} == {
        "from": {"platform"},
        "run": {"mount", "network", "security"},
        "copy": {"from", "chown", "chmod", "link", "parents", "exclude"},
        "add": {"chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"},
        "healthcheck": {"interval", "timeout", "start-period", "start-interval", "retries"},
    }
