from pathlib import Path

import pytest

from builder.execute.foreign import need_emulator
from builder.platforms import parse_platform
from runtime.errors import SandboxUnavailable

FOREIGN, MACHINE = ("linux/arm64", "b700") if parse_platform("local").architecture != "arm64" else ("amd64", "3e00")


def registered(folder: Path, state: str = "enabled", flags: str = "OCF", machine: str = MACHINE) -> Path:
    folder.joinpath("status").write_text("enabled\n")
    folder.joinpath("register").write_text("")
    magic = "7f454c46020101000000000000000000" + "0200" + machine
    text = f"{state}\ninterpreter /usr/bin/qemu\nflags: {flags}\noffset 0\nmagic {magic}\nmask ffff\n"
    folder.joinpath("emulator").write_text(text)
    return folder


def test_this_machine_needs_no_emulator(tmp_path):
    need_emulator("", tmp_path)
    need_emulator(str(parse_platform("local")), tmp_path)


def test_a_registered_emulator_is_found_by_the_machine_that_it_is_for(tmp_path):
    need_emulator(FOREIGN, registered(tmp_path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "disabled"}, "no emulator is registered"),
        ({"machine": "f300"}, "no emulator is registered"),
        ({"flags": "OC"}, "without the flag F"),
    ],
)
def test_an_emulator_that_cannot_help_is_refused_with_the_remedy(tmp_path, change, reason):
    with pytest.raises(SandboxUnavailable, match=reason) as caught:
        need_emulator(FOREIGN, registered(tmp_path, **change))
    assert "qemu-user-static" in caught.value.hint


def test_a_file_system_that_is_not_mounted_is_named(tmp_path):
    with pytest.raises(SandboxUnavailable, match="binfmt_misc is not mounted"):
        need_emulator(FOREIGN, tmp_path)
