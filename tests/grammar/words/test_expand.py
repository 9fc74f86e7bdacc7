import pytest
from hypothesis import given, settings

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Word
from pybuild.grammar.source import Span
from pybuild.grammar.words.expand import expand, expand_all, expand_body, variables
from tests.grammar.texts import words

_SPAN = Span(3, 9)
_SCOPE = {
    "A": "one",
    "EMPTY": "",
    "PATH_": "/usr/lib/x.tar.gz",
    "TWO": "b  c",
    "QUOTED": "'$A'",
    "_x1": "under",
    "é": "e",
}


def _expand(text: str, escape: str = "\\") -> str:
    return expand(Word(text, _SPAN), _SCOPE, escape=escape)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}", "one"),
        ("x$A/y", "xone/y"),
        ("$A$A", "oneone"),
        ("$_x1.$é", "under.e"),
        ("$MISSING", ""),
        ("${MISSING}", ""),
        ("$AB", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$.", "$."),
        ("$(A)", "$(A)"),
        ("$1a$12b", "ab"),
        ("$@$*$#$?$-$$$!$0", ""),
        ("$TWO", "b  c"),
        ("$QUOTED", "'$A'"),
    ],
)
def test_variable_is_replaced_by_its_value(text: str, result: str) -> None:
    assert _expand(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${A:-w}", "one"),
        ("${EMPTY:-w}", "w"),
        ("${MISSING:-w}", "w"),
        ("${A-w}", "one"),
        ("${EMPTY-w}", ""),
        ("${MISSING-w}", "w"),
        ("${MISSING:-}", ""),
        ("${A:+w}", "w"),
        ("${EMPTY:+w}", ""),
        ("${MISSING:+w}", ""),
        ("${A+w}", "w"),
        ("${EMPTY+w}", "w"),
        ("${MISSING+w}", ""),
        ("${A:?w}", "one"),
        ("${A?w}", "one"),
        ("${EMPTY?w}", ""),
        ("${MISSING:-$A}", "one"),
        ("${MISSING:-${EMPTY:-${A}}}x", "onex"),
        ("${MISSING:-'a}b'}", "a}b"),
        ("${MISSING:-a\\}b}", "a}b"),
        ('${MISSING:-"$A b"}', "one b"),
        ("${MISSING:--}", "-"),
    ],
)
def test_substitution_chooses_by_set_and_empty(text: str, result: str) -> None:
    assert _expand(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${PATH_#*/}", "usr/lib/x.tar.gz"),
        ("${PATH_##*/}", "x.tar.gz"),
        ("${PATH_%.*}", "/usr/lib/x.tar"),
        ("${PATH_%%.*}", "/usr/lib/x"),
        ("${PATH_%.t??.gz}", "/usr/lib/x"),
        ("${PATH_#$EMPTY/usr}", "/lib/x.tar.gz"),
        ("${PATH_#'*'}", "/usr/lib/x.tar.gz"),
        ("${PATH_#\\*}", "/usr/lib/x.tar.gz"),
        ("${MISSING#x}", ""),
        ("${A#}", "one"),
        ("${A/n/N}", "oNe"),
        ("${PATH_/\\//-}", "-usr/lib/x.tar.gz"),
        ("${PATH_//\\//-}", "-usr-lib-x.tar.gz"),
        ("${PATH_//[/-}", "/usr/lib/x.tar.gz"),
        ("${A//?/$EMPTY}", ""),
        ("${A/o*/${EMPTY:-x}}", "x"),
        ("${MISSING/a/b}", ""),
    ],
)
def test_pattern_strips_or_replaces(text: str, result: str) -> None:
    assert _expand(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("'$A'", "$A"),
        ('"$A"', "one"),
        ("'a'\"b\"c", "abc"),
        ("''", ""),
        ("'\\'", "\\"),
        ('"\\""', '"'),
        ('"\\$A"', "$A"),
        ('"\\\\"', "\\"),
        ('"a\\nb"', "a\\nb"),
        ("a\\nb", "anb"),
        ("\\$A", "$A"),
        ("\\'", "'"),
        ("\\\\", "\\"),
        ("a\\", "a"),
        ('"it\'s"', "it's"),
        ("`", "`"),
    ],
)
def test_quotes_and_escapes_are_resolved(text: str, result: str) -> None:
    assert _expand(text) == result


def test_the_escape_may_be_a_backtick() -> None:
    assert _expand("c:\\`$A\\$A", "`") == "c:\\$A\\one"
    assert _expand('"`"\\"', "`") == '"\\'
    assert expand_body("`$A\\$A", _SCOPE, _SPAN, escape="`") == "$A\\one"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${{x}}", "syntax error: bad substitution"),
        ("${", "syntax error: missing '}'"),
        ("${A", "syntax error: missing '}'"),
        ("${A:", "syntax error: missing '}'"),
        ("${A:-w", "syntax error: missing '}'"),
        ("${A:-'w}", "syntax error: missing '}'"),
        ("${A/x}", "syntax error: missing '/' in ${}"),
        ("${A/x/y", "syntax error: missing '}'"),
        ("${A^}", "unsupported modifier (^) in substitution"),
        ("${A.b}", "unsupported modifier (.) in substitution"),
        ("${A:=w}", "unsupported modifier (:=) in substitution"),
        ("${A:#w}", "unsupported modifier (:#) in substitution"),
        ("${A:%w}", "unsupported modifier (:%) in substitution"),
        ("${#A}", "unsupported modifier (A) in substitution"),
        ("${MISSING:?}", "MISSING: is not allowed to be unset"),
        ("${MISSING?}", "MISSING: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${MISSING:?give $A}", "MISSING: give one"),
        ("${A:-${MISSING?no}}", "MISSING: no"),
        ("${A:-${}}", "syntax error: bad substitution"),
        ("${A#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
        ("${A%\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
        ("${A/\\x/y}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
        ("it's", "unexpected end of statement while looking for matching single-quote"),
        ('a"b', "unexpected end of statement while looking for matching double-quote"),
        ('"a\\', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_malformed_word_is_refused_in_the_words_of_buildkit(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        _expand(text)

    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert caught.value.message == f"failed to process {quoted}: {message}"
    assert caught.value.span == _SPAN


def test_a_value_is_never_expanded_again() -> None:
    assert expand(Word("$B", _SPAN), {"A": "a", "B": "$A${A}'\\"}) == "$A${A}'\\"


def test_a_literal_word_is_taken_as_it_stands() -> None:
    word = Word("'$A' \\b", _SPAN, literal=True)

    assert expand(word, _SCOPE) == word.text
    assert expand_all(word, _SCOPE) == (word.text,)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a", ("a",)),
        ("$TWO", ("b", "c")),
        ("x$TWO/y", ("xb", "c/y")),
        (" a  b ", ("a", "b")),
        ('"$TWO"', ("b  c",)),
        ("'a b'c", ("a bc",)),
        ("a\\ b", ("a b",)),
        ("$EMPTY", ()),
        ("''", ()),
        ("a '' b", ("a", "b")),
        ("${MISSING:-a b}", ("a", "b")),
        ("", ()),
    ],
)
def test_words_are_split_where_spaces_are_not_quoted(text: str, result: tuple[str, ...]) -> None:
    assert expand_all(Word(text, _SPAN), _SCOPE) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("'$A' \"$A\"\n", "'one' \"one\"\n"),
        ("\\$A \\\\ \\n\n", "$A \\ n\n"),
        ("it's\n", "it's\n"),
        ("${MISSING:-'x'}", "'x'"),
        ("\\\n", "\n"),
    ],
)
def test_heredoc_body_keeps_its_quotes(text: str, result: str) -> None:
    assert expand_body(text, _SCOPE, _SPAN) == result


def test_mistake_in_a_heredoc_body_names_only_its_beginning() -> None:
    with pytest.raises(DockerfileError) as caught:
        expand_body("x\n" * 1000 + "${}", _SCOPE, _SPAN)

    assert caught.value.message.startswith('failed to process "x\\nx\\n')
    assert caught.value.message.endswith('...": syntax error: bad substitution')
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", set()),
        ("$A ${B} ${C:-$D} ${E#$F} ${G//$H/$I}", set("ABCDEFGHI")),
        ("'$A' \\$B \"$C\"", {"C"}),
        ("${A:?} ${B?}", {"A", "B"}),
        ("$A ${} $B", {"A"}),
        ("$A it's $B", {"A"}),
    ],
)
def test_variables_are_the_names_that_a_text_asks_for(text: str, names: set[str]) -> None:
    assert variables(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$BIG$BIG", "the result is larger than 1 MiB"),
        ('"$BIG$BIG"', "the result is larger than 1 MiB"),
        ("${BIG//a/bb}", "the result is larger than 1 MiB"),
        ("${x:+$BIG}" * 40, "the variables in it are too long"),
        ("${BIG#*" + "?" * 1000 + "b}", "the variables in it are too long"),
        ("${x:-" * 101 + "}" * 101, "substitutions are nested more than 100 deep"),
        ("${x:-" * 100_000, "substitutions are nested more than 100 deep"),
    ],
)
def test_expansion_that_would_grow_without_bound_ends_in_an_error(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        expand(Word(text, _SPAN), {"BIG": "a" * 1_000_000})

    assert caught.value.message.endswith(": " + message)


def test_doubling_a_variable_again_and_again_ends_in_an_error() -> None:
    value = "x" * 512 * 1024
    doubled = expand(Word("$A$A", _SPAN), {"A": value})

    assert len(doubled) == 1024 * 1024
    with pytest.raises(DockerfileError, match="larger than 1 MiB"):
        expand(Word("$A$A", _SPAN), {"A": doubled})


def test_a_hundred_levels_of_nesting_are_allowed() -> None:
    assert _expand("${x:-" * 100 + "$A" + "}" * 100) == "one"


@settings(max_examples=300)
@given(words)
def test_nothing_but_a_located_error_comes_out(text: str) -> None:
    scope = dict.fromkeys(variables(text), "a*'")

    outcome = _outcome(text, scope)

    assert outcome == _SPAN or len(str(outcome)) < 10_000


def _outcome(text: str, scope: dict[str, str]) -> object:
    try:
        return expand(Word(text, _SPAN), scope), expand_all(Word(text, _SPAN), scope), expand_body(text, scope, _SPAN)
    except DockerfileError as error:
        return error.span


@settings(max_examples=200)
@given(words)
def test_quoting_a_text_brings_it_back(text: str) -> None:
    quoted = "'" + text.replace("'", "'\\''") + "'"

    assert expand(Word(quoted, _SPAN), {}) == text
