from pathlib import Path

from pybuild.builder.cli.commands.build.carry_out import logged
from pybuild.builder.progress import Warned, silent


def test_without_a_file_the_display_stays_what_it_is() -> None:
    with logged(None) as logging:
        assert logging(silent) is silent


def test_the_log_goes_to_a_file(tmp_path: Path) -> None:
    with logged(tmp_path / "log") as logging:
        logging(silent)(Warned(message="careful"))
    assert "careful" in (tmp_path / "log").read_text()
