from pybuild.builder.display.colors import NO_COLORS, Colors, colors_from


def test_colours_are_named_light_or_three_numbers() -> None:
    colors = colors_from({"BUILDKIT_COLORS": "run=green:warning=light-cyan:error=255,0,300:cancel=nonsense:other=red"})
    assert colors == Colors(run="\x1b[32m", warning="\x1b[96m", error="\x1b[38;2;255;0;255m")


def test_no_color_wins_over_chosen_colours() -> None:
    assert colors_from({"NO_COLOR": "1", "BUILDKIT_COLORS": "run=green"}) == NO_COLORS


def test_an_empty_no_color_does_not_count() -> None:
    assert colors_from({"NO_COLOR": ""}) == Colors()
