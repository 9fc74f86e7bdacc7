import pytest

from pybuild.grammar.dockerfile.mounts import read_mount, settle
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import MountFlag, MountKind, Word
from pybuild.grammar.source import Span
from pybuild.grammar.words.expand import expand

_SPAN = Span(3, 9)


def _read(text: str) -> MountFlag:
    return read_mount(Word(text, _SPAN))


def _options(mount: MountFlag) -> dict[str, str]:
    return {key: word.text for key, word in mount.options}


def test_keys_come_in_one_spelling() -> None:
    mount = _read("type=cache,DST=/x,src=y,ro,ID=i,sharing=Locked")

    assert mount.kind is MountKind.CACHE
    assert _options(mount) == {"target": "/x", "source": "y", "readonly": "true", "id": "i", "sharing": "locked"}
    assert mount.get("target") == Word("/x", _SPAN)
    assert mount.get("uid") is None


@pytest.mark.parametrize(
    ("text", "readonly"),
    [
        ("target=/x", None),
        ("target=/x,ro", "true"),
        ("target=/x,readonly=0", "false"),
        ("target=/x,rw", "false"),
        ("target=/x,readwrite=false", "true"),
        ("target=/x,ro,rw", "false"),
    ],
)
def test_readonly_is_kept_only_where_it_is_given(text: str, readonly: str | None) -> None:
    assert _options(_read(text)).get("readonly") == readonly


def test_a_later_key_replaces_an_earlier_one() -> None:
    assert _options(_read("target=/a,dst=/b")) == {"target": "/b"}


def test_size_is_kept_in_bytes() -> None:
    assert _options(_read("type=tmpfs,target=/x,size=1.5k"))["size"] == "1536"


def test_comma_inside_double_quotes_belongs_to_the_value() -> None:
    assert _options(_read('"target=/a,b","source=c""d"')) == {"target": "/a,b", "source": 'c"d'}


def test_values_with_variables_are_checked_once_they_are_known() -> None:
    mount = _read("type=cache,target=$T,uid=$U,sharing=$S,ro=$R")

    settled = settle(mount, lambda word: expand(word, {"T": "/x", "U": "7", "S": "LOCKED", "R": "1"}))

    assert _options(settled) == {"target": "/x", "uid": "7", "sharing": "locked", "readonly": "true"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=cache,target=/x,uid=$A", "invalid value x for uid"),
        ("type=cache,target=/x,ro=$A", "invalid value for readonly: x"),
        ("type=tmpfs,target=/x,size=$A", "invalid value for size: x"),
        ("type=secret,id=$EMPTY", "invalid secret mount. one of source, target required"),
    ],
)
def test_settling_finds_what_the_variables_hid(text: str, message: str) -> None:
    mount = _read(text)

    with pytest.raises(DockerfileError) as caught:
        settle(mount, lambda word: expand(word, {"A": "x"}))

    assert (caught.value.message, caught.value.span) == (message, _SPAN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid field '' must be a key=value pair"),
        ("type", "invalid field 'type' must be a key=value pair"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("type=Foo", 'unsupported mount type "Foo"'),
        ("type=", 'unsupported mount type ""'),
        ("type=cache,required=1", "unexpected key 'required' for mount type 'cache'"),
        ("type=secret,id=a,size=1", "unexpected key 'size' for mount type 'secret'"),
        ("rw=$A", "invalid value for rw: $A"),
        ('target="a"', 'failed to parse csv mounts: extraneous or missing " in a field'),
        ('"target=a', 'failed to parse csv mounts: extraneous or missing " in a field'),
        ('"target=a"b', 'failed to parse csv mounts: extraneous or missing " in a field'),
    ],
)
def test_wrong_mount_is_refused(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        _read(text)

    assert (caught.value.message, caught.value.span) == (message, _SPAN)


def test_a_dollar_at_the_end_of_from_is_no_variable() -> None:
    assert _options(_read("from=a$,target=/x"))["from"] == "a$"


def test_an_empty_from_is_as_none() -> None:
    assert "from" not in _options(_read("type=bind,from=,target=/x"))
    assert "from" not in _options(_read("type=secret,from=,id=x"))


def test_a_type_may_be_a_variable_and_keys_are_checked_once_it_is_known() -> None:
    mount = _read("type=$T,target=/x,size=1k")

    settled = settle(mount, lambda word: expand(word, {"T": "TMPFS"}))

    assert (settled.kind, _options(settled)) == (MountKind.TMPFS, {"target": "/x", "size": "1024"})
    with pytest.raises(DockerfileError, match="unexpected key 'size' for mount type 'cache'"):
        settle(mount, lambda word: expand(word, {"T": "cache"}))
    with pytest.raises(DockerfileError, match='unsupported mount type "tmpf"') as caught:
        settle(mount, lambda word: expand(word, {"T": "tmpf"}))
    assert caught.value.hint == 'did you mean "tmpfs"?'
