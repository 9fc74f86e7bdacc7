"""Numbers, names and records of tar headers."""

import tarfile

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.tar.fields import (
    clamp_time,
    number,
    parse_header,
    parse_records,
    pax_nanoseconds,
    pax_time,
    text,
)


def block(name: str = "a/b", form: int = tarfile.USTAR_FORMAT) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.size, info.mtime = 0o640, 7, 8, 9, 10
    return info.tobuf(form)[:512]


def with_checksum(data: bytes, value: int) -> bytes:
    return data[:148] + b"%06o\0 " % value + data[156:]


def test_a_header_is_taken_apart() -> None:
    header = parse_header(block())
    assert (header.name, header.mode, header.uid, header.gid) == (b"a/b", 0o640, 7, 8)
    assert (header.size, header.mtime, header.flag) == (9, 10, b"0")


def test_the_prefix_of_ustar_comes_before_the_name() -> None:
    name = "d" * 90 + "/" + "f" * 50
    assert parse_header(block(name)).name == name.encode()


def test_a_wrong_checksum_is_an_error_and_one_of_signed_characters_is_not() -> None:
    data = block("\u00e9")
    signed = sum(byte - 256 if byte > 0x7F else byte for byte in data[:148] + data[156:]) + 8 * 32
    assert parse_header(with_checksum(data, signed)).name == "\u00e9".encode()
    with pytest.raises(LayerError, match="checksum of a header is wrong"):
        parse_header(with_checksum(data, signed + 1))
    with pytest.raises(LayerError, match="not a tar archive"):
        parse_header(b"x" * 512)


@pytest.mark.parametrize("shown", [b"%06o\0 ", b"%06o \0", b"%07o\0", b"%6o\0 ", b"%8o"])
def test_a_checksum_may_be_written_in_any_way_and_must_be_right(shown: bytes) -> None:
    data = block()
    right = int(data[148:154], 8)
    assert parse_header(data[:148] + shown % right + data[156:]) == parse_header(data)
    with pytest.raises(LayerError, match="checksum of a header is wrong"):
        parse_header(data[:148] + shown % (right + 1) + data[156:])


def test_a_header_whose_end_was_seen_before_is_checked_as_the_first_one() -> None:
    data = block()
    parse_header(data)
    with pytest.raises(LayerError, match="checksum of a header is wrong"):
        parse_header(b"b" + data[1:])
    device = data[:329] + b"9999999\0" + data[337:]
    for _ in range(2):
        with pytest.raises(LayerError, match="checksum of a header is wrong"):
            parse_header(device)
        with pytest.raises(LayerError, match="device number"):
            parse_header(with_checksum(device, int(data[148:154], 8) + sum(device) - sum(data)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"\0" * 8, 0),
        (b"\x80" + bytes(6) + b"\x07", 7),
        (b"\x80" + bytes(3) + b"\xff" * 4, 0xFFFF_FFFF),
    ],
)
def test_numbers_are_octal_or_in_base_256(field: bytes, value: int) -> None:
    assert number(field, "size", 1 << 40) == value


@pytest.mark.parametrize("field", [b"0000008\0", b"-000001\0", b"0x00001\0", b"\xff" * 8])
def test_other_numbers_and_negative_ones_are_errors(field: bytes) -> None:
    with pytest.raises(LayerError, match="invalid size"):
        number(field, "size", 1 << 40)


def test_a_number_above_the_limit_is_an_error() -> None:
    assert number(b"0000010\0", "user id", 8) == 8
    with pytest.raises(LayerError, match="invalid user id: 8"):
        number(b"0000010\0", "user id", 7)


@pytest.mark.parametrize(
    ("value", "seconds", "nanoseconds"),
    [
        (b"12", 12, 0),
        (b"12.5", 12, 500_000_000),
        (b"12.1234567899", 12, 123_456_789),
        (b"-1.25", -2, 750_000_000),
        (b"-1", -1, 0),
        (b"-1.000", -1, 0),
    ],
)
def test_a_time_is_rounded_down_and_its_fraction_counts_upwards(value: bytes, seconds: int, nanoseconds: int) -> None:
    assert (pax_time(value), pax_nanoseconds(value)) == (seconds, nanoseconds)


@pytest.mark.parametrize("value", [b"", b"1.2.3", b"1e3", b"+1", b"1\n", b"9" * 20])
def test_another_time_is_an_error(value: bytes) -> None:
    with pytest.raises(LayerError, match="invalid time"):
        pax_time(value)


def test_times_are_limited_to_what_system_calls_take() -> None:
    assert clamp_time(1 << 62) == 1 << 40
    assert clamp_time(-(1 << 62)) == -(1 << 40)
    assert clamp_time(5) == 5


def test_records_keep_their_order_and_repeated_keys() -> None:
    assert parse_records(b"6 a=b\n8 c=d=e\n7 a=\nx\n") == [(b"a", b"b"), (b"c", b"d=e"), (b"a", b"\nx")]
    assert parse_records(b"") == []


@pytest.mark.parametrize(
    "content",
    [b"6 a=b", b"7 a=b\n", b"5 a=b\n", b"x a=b\n", b"6 =bb\n", b"5 abc", b"6 ab \n", b"7 a\0=b\n", b"-6 a=b\n"],
)
def test_malformed_records_are_errors(content: bytes) -> None:
    with pytest.raises(LayerError, match="malformed PAX header"):
        parse_records(content)


def test_a_name_ends_at_the_first_zero_byte() -> None:
    assert text(b"name\0rest\0") == b"name"
    assert text(b"full") == b"full"
