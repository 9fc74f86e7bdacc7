import pytest

from pybuild.builder.stages import format_go


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x00\x1b\x7f", r'"\x00\x1b\x7f"'),
        ("café ☕ 🐳", '"café ☕ 🐳"'),
        ("\u00a0\u200b\u2028", r'"\u00a0\u200b\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("\x80\x9f", r'"\u0080\u009f"'),
        ("\udcff\udc80", r'"\xff\x80"'),
    ],
)
def test_text_is_quoted_as_go_quotes_it(text, printed):
    assert format_go.quoted(text) == printed


def test_a_quoted_list_has_spaces_between_its_items():
    assert format_go.quoted_list(["/bin/sh", "-c", 'echo "x"']) == r'["/bin/sh" "-c" "echo \"x\""]'
    assert format_go.quoted_list([]) == "[]"


def test_a_plain_list_quotes_nothing():
    assert format_go.plain_list(["a b", "c"]) == "[a b c]"


@pytest.mark.parametrize(
    ("nanoseconds", "printed"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_000_000, "2ms"),
        (2_200_000, "2.2ms"),
        (999_999_999, "999.999999ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (30_000_000_000, "30s"),
        (60_000_000_000, "1m0s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_723_004_000_000, "1h2m3.004s"),
        (-1_500_000_000, "-1.5s"),
    ],
)
def test_a_duration_reads_as_in_go(nanoseconds, printed):
    assert format_go.duration(nanoseconds) == printed
