from pybuild.builder.display.text_width import aligned, cut, width


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    assert width("漢a\u0301") == 3


def test_text_is_cut_before_a_character_that_does_not_fit() -> None:
    assert cut("a漢字", 4) == "a漢"
    assert cut("abc", 0) == ""


def test_the_right_part_ends_at_the_last_column() -> None:
    assert aligned("name", " 1.0s", 12) == "name    1.0s"
    assert aligned("漢" * 9, " 1.0s", 12) == "漢漢漢  1.0s"
