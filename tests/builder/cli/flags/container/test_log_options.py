import pytest

from pybuild.builder.cli.flags.container.log_options import log_options
from pybuild.builder.errors import RequestError


def test_options_are_sorted_by_name() -> None:
    assert log_options(("max-size=10k", "max-file=3")) == (("max-file", "3"), ("max-size", "10k"))
    assert log_options(("max-file=2",)) == (("max-file", "2"),)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("max-size=odd", 'failed to initialize logging driver: invalid size: "odd"'),
        ("max-size", 'failed to initialize logging driver: invalid size: ""'),
        ("max-file=0", "max-file cannot be less than 1"),
        ("max-file=\u00b2", "max-file cannot be less than 1"),
        (f"max-file={'1' * 5000}", "max-file cannot be less than 1"),
        ("max-file=x", "max-file cannot be less than 1"),
        ("max-buffer-size=1m", "unknown log opt 'max-buffer-size' for json-file log driver"),
    ],
)
def test_what_a_log_cannot_have_is_refused(option: str, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        log_options((option,))
    assert refused.value.message == message


def test_options_of_docker_without_effect_are_kept_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert log_options(("max-size=1m", "compress=true", "tag={{.Name}}")) == (
        ("compress", "true"),
        ("max-size", "1m"),
        ("tag", "{{.Name}}"),
    )
    assert capsys.readouterr().err.splitlines() == [
        "WARNING: --log-opt compress is not kept: older files of a log stay as they are",
        "WARNING: --log-opt tag is not kept: lines of a log have no more attributes than time and stream",
    ]
    assert log_options(("mode=blocking", "compress=false"))
    assert capsys.readouterr().err == ""
