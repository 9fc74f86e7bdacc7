import pytest

from pybuild.builder.oci.registry.status_errors import words_of


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"3", "3"),
        (b"null", "null"),
        (b"{}", ""),
        (b'{"errors":[]}', ""),
        (b'{"errors":[3]}', ""),
        (b'{"errors":[{"code":"DENIED","message":"quota \x1b[2J used"}]}', "denied: quota ?[2J used"),
        (b'{"errors":[{"code":"A","message":"one"},{"code":"B_C","message":"two"}]}', "a: one; b c: two"),
        (b'{"errors":[{"message":"1"},{"message":"2"},{"message":"3"},{"message":"4"}]}', "1; 2; 3; and 1 more"),
        (b'{"errors":[{"code":"X","message":"same"},{"code":"X","message":"same"}]}', "x: same"),
        (b'{"errors":[{"code":"UNKNOWN","message":"","detail":"disk is full"}]}', "unknown: disk is full"),
        (b'{"errors":[{"code":"E","message":"m","detail":{"message":"why"}}]}', "e: m: why"),
        (b'{"errors":[{"code":"E","message":"m","detail":[{"Type":"repository","Name":"x"}]}]}', "e: m"),
        (b'{"errors":[{"code":"E","message":"the reason","detail":"reason"}]}', "e: the reason"),
        (b'{"errors":["plain words"]}', "plain words"),
        (b'{"message":"401 Unauthorized"}', "401 Unauthorized"),
        (b'{"detail":"repository is read-only"}', "repository is read-only"),
        (b'{"details":"incorrect username or password"}', "incorrect username or password"),
        (b'{"error":"invalid_grant","error_description":"no such token"}', "invalid grant: no such token"),
        (b'{"error":{"code":"QUOTA","message":"full"}}', "quota: full"),
        (b'{"error":"Rate limit"}', "rate limit"),
        (b'"just a string"', "just a string"),
        (b"You have reached your\n pull rate limit.\n", "You have reached your pull rate limit."),
        (b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "502 Bad Gateway"),
        (b"<html><head><title>503</title></head><h1>Moving to a new disk</h1>", "Moving to a new disk"),
        (b"<html><title>503</title><body>Moving <b>today</b></body>", "503 Moving today"),
        (b"<!DOCTYPE html><body><script>x()</script><p>Down for<br>maintenance</p></body>", "Down for maintenance"),
        (b"<html>", ""),
        (b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce rate</Message></Error>", "Reduce rate"),
        (b"\xff\xfe", "��"),
        (b'{"message":', '{"message":'),
        (b"[" * 50_000, "[" * 300 + "..."),
    ],
)
def test_the_words_of_a_failure_are_found_whatever_their_form(body: bytes, words: str) -> None:
    assert words_of(body)[1] == words


def test_the_first_code_counts() -> None:
    assert words_of(b'{"errors":[{"message":"x"},{"code":"BLOB_UNKNOWN","message":"y"}]}')[0] == "BLOB_UNKNOWN"


@pytest.mark.parametrize("piece", [b"<script", b"<title", b"<!--", b"<html", b"<", b"<script></script", b"words "])
def test_of_a_hostile_page_little_is_shown(piece: bytes) -> None:
    assert len(words_of(b"<html>" + piece * (60_000 // len(piece)))[1]) <= 303
