import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.oci.registry.auth.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ('Bearer realm="https://a/t",service="s"', (Challenge("bearer", {"realm": "https://a/t", "service": "s"}),)),
        ("BEARER Realm=x , scope=y", (Challenge("bearer", {"realm": "x", "scope": "y"}),)),
        ('Bearer realm="a\\"b,c=d"', (Challenge("bearer", {"realm": 'a"b,c=d'}),)),
        (
            'Basic realm="r", Bearer realm="t"',
            (Challenge("basic", {"realm": "r"}), Challenge("bearer", {"realm": "t"})),
        ),
        ('Bearer realm="a",realm="b"', (Challenge("bearer", {"realm": "a"}),)),
        ('Bearer scope="repository:a/b:pull,push"', (Challenge("bearer", {"scope": "repository:a/b:pull,push"}),)),
        ("Negotiate", (Challenge("negotiate", {}),)),
        ("Bearer realm=https://a/t,service=s", (Challenge("bearer", {"realm": "https://a/t", "service": "s"}),)),
        ('Bearer realm="t";service=s', (Challenge("bearer", {"realm": "t", "service": "s"}),)),
        ("Negotiate YII=, Basic", (Challenge("negotiate", {}), Challenge("yii", {}), Challenge("basic", {}))),
        ('realm="x"', ()),
        ('Bearer realm="unclosed', (Challenge("bearer", {}), Challenge("realm", {}))),
        ("", ()),
        (",,,", ()),
    ],
)
def test_challenges_are_parsed(header: str, challenges: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header) == challenges


def test_a_header_without_end_is_read_to_a_limit() -> None:
    assert parse_challenges("a " * 1_000_000)[0] == Challenge("a", {})
    found = parse_challenges('Basic realm="x",' + " " * 8192 + 'Bearer realm="https://a.com"')
    assert found == (Challenge("basic", {"realm": "x"}),)
    assert parse_challenges('Bearer realm="' + "\\" * 1_000_000) is not None


@given(st.text(max_size=200))
def test_no_header_is_an_error(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()
