import pytest

from pybuild.grammar.parse_go import parse_bool, parse_duration, parse_int32, parse_ip, parse_size, parse_uint32, quote


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("a\n\t\0\x7f", '"a\\n\\t\\x00\\x7f"'),
        ("é\u200b\U000e0001", '"é\\u200b\\U000e0001"'),
        ("a\udcff\ud800", '"a\\xff\\ud800"'),
    ],
)
def test_quote_prints_as_go_does(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_quote_cuts_long_texts() -> None:
    assert len(quote("x" * 10_000)) < 250


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("5s", 5_000_000_000),
        ("1.5s", 1_500_000_000),
        (".5m", 30_000_000_000),
        ("1.s", 1_000_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("7µs", 7_000),
        ("-2ms", -2_000_000),
        ("2562047h", 2562047 * 3600 * 10**9),
    ],
)
def test_duration_is_read_in_nanoseconds(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("s", 'time: invalid duration "s"'),
        ("1s ", 'time: unknown unit "s " in duration "1s "'),
        ("5", 'time: missing unit in duration "5"'),
        ("1s5", 'time: missing unit in duration "1s5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_bad_duration_is_refused_in_the_words_of_go(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("64m", 64 << 20), ("1.5GiB", 3 << 29), ("2 KB", 2048), ("1b", 1), ("3T", 3 << 40)],
)
def test_size_counts_in_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1x", "m", "1" * 100])
def test_bad_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("T", True), ("true", True), ("0", False), ("False", False)])
def test_bool_is_read_like_in_go(text: str, value: bool) -> None:
    assert parse_bool(text) is value


@pytest.mark.parametrize("text", ["", "yes", "tRUE", "2"])
def test_other_words_are_no_bool(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_bool(text)


def test_numbers_have_32_bits() -> None:
    assert parse_uint32("4294967295", 10) == 2**32 - 1
    assert parse_uint32("0755", 8) == 0o755
    assert parse_int32("-2147483648") == -(2**31)
    with pytest.raises(ValueError, match="value out of range"):
        parse_uint32("4294967296", 10)
    with pytest.raises(ValueError, match="value out of range"):
        parse_int32("2147483648")


@pytest.mark.parametrize("text", ["", "9", "-1", "0x1", "1 "])
def test_bad_octal_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_uint32(text, 8)


def test_an_address_has_no_zone() -> None:
    assert str(parse_ip("FE80:0::1")) == "fe80::1"
    for text in ("fe80::1%eth0", "fe80::1%", "1.2.3.4%1", "fe80::1/64", ""):
        with pytest.raises(ValueError, match="address"):
            parse_ip(text)
