import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.file_modes import mode_of_made, parse_mode


@pytest.mark.parametrize(
    ("text", "before", "is_directory", "after"),
    [
        ("0644", 0o4755, False, 0o644),
        ("7777", 0, True, 0o7777),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("+x", 0o640, False, 0o751),
        ("a+X", 0o640, False, 0o640),
        ("a+X", 0o641, False, 0o751),
        ("a-x,a+X", 0o755, False, 0o755),
        ("go-rwx", 0o755, False, 0o700),
        ("o=", 0o1755, True, 0o1750),
        ("u+s", 0o755, False, 0o4755),
        ("g+s,+t", 0o755, True, 0o3755),
        ("u+t,o+s", 0o755, True, 0o1755),
        ("u=", 0o6755, False, 0o2055),
        ("o+t", 0o755, True, 0o755),
        ("=t", 0o640, False, 0o1640),
        ("+rwxt", 0o600, False, 0o1600),
        ("a=rw", 0o1777, True, 0o1666),
        ("a=t", 0o755, True, 0o1000),
        ("g=u", 0o640, False, 0o660),
        ("go=u-w", 0o640, False, 0o644),
        ("u+rw-x", 0o100, False, 0o600),
        ("ug=rw,o=r", 0o7777, False, 0o1664),
        ("u=g", 0o4711, False, 0o4111),
        ("u=g", 0o4750, False, 0o4550),
        ("=g", 0o7750, True, 0o7555),
        ("u=gr", 0o4070, False, 0o470),
        ("u=rg", 0o4070, False, 0o770),
        ("g=Xu", 0o700, False, 0o770),
        ("g=uX", 0o644, True, 0o674),
        ("o=x,o=gs", 0o6750, False, 0o6755),
        ("+ts", 0o755, False, 0o1755),
        ("u+gt", 0o050, True, 0o1550),
        ("a+x-X", 0o600, False, 0o600),
        ("u==ug", 0o4750, False, 0o550),
        ("go-u", 0o751, False, 0o700),
        ("u+", 0o640, False, 0o640),
    ],
)
def test_a_mode_is_what_chmod_makes_of_it(text, before, is_directory, after):
    assert oct(parse_mode(text)(before, is_directory)) == oct(after)


@pytest.mark.parametrize("text", ["64a", "8", "10000", "00000000000000001", "٠", "0o644"])
def test_what_begins_with_a_digit_must_be_octal(text):
    with pytest.raises(ResolveError, match="it should be octal string and between 0 and 07777"):
        parse_mode(text)


@pytest.mark.parametrize("text", ["-1", "u", "u=rwz", "x+r", "u=r,", ",u=r", "u=a", "=u=r\n"])
def test_anything_else_must_be_symbolic(text):
    with pytest.raises(ResolveError, match="invalid chmod parameter"):
        parse_mode(text)


@pytest.mark.parametrize(
    ("text", "mode"),
    [("", 0o755), ("u=rwx,go=", 0o755), ("0", 0), ("640", 0o640), ("0777", 0o777), ("1777", 0o777), ("6755", 0o755)],
)
def test_directories_that_are_made_get_the_nine_lower_bits_of_an_octal_mode(text, mode):
    assert oct(mode_of_made(text)) == oct(mode)
