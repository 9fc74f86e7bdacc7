import pytest

from pybuild.builder.edit.config_edits import ConfigEdits, configured, edited
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.model import ContainerConfig

CONFIG = ContainerConfig(
    env=("PATH=/bin", "A=1"),
    labels=(("l", "v"),),
    exposed_ports=("80/tcp",),
    volumes=("/data",),
    user="alice",
    working_dir="/srv",
    stop_signal="SIGINT",
    entrypoint=("/entry",),
    cmd=("serve",),
    shell=("/bin/bash", "-c"),
)


def test_without_settings_nothing_changes() -> None:
    assert configured(CONFIG, ConfigEdits()) == CONFIG


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("A=2",), {"PATH": "/bin", "A": "2"}),
        (("B=x=y", "C="), {"PATH": "/bin", "A": "1", "B": "x=y", "C": ""}),
        (("A-",), {"PATH": "/bin"}),
        (("absent-",), {"PATH": "/bin", "A": "1"}),
        (("-", "ONLY=1"), {"ONLY": "1"}),
        (("B=ends-with-",), {"PATH": "/bin", "A": "1", "B": "ends-with-"}),
    ],
)
def test_a_list_is_edited_from_left_to_right(words: tuple[str, ...], expected: dict[str, str]) -> None:
    assert edited({"PATH": "/bin", "A": "1"}, words, "--env") == expected
    env = configured(CONFIG, ConfigEdits(env=words)).env
    assert env == tuple(f"{name}={value}" for name, value in expected.items())


@pytest.mark.parametrize("word", ["", "A", "=1"])
def test_what_is_neither_a_value_nor_a_removal_is_refused(word: str) -> None:
    with pytest.raises(BuildError, match="invalid --label"):
        edited({}, (word,), "--label")


def test_labels_ports_and_volumes_are_set_and_removed() -> None:
    settings = ConfigEdits(labels=("m=1", "l-"), expose=("53/udp", "80-", "8000-8001"), volumes=("/x", "/data-"))
    config = configured(CONFIG, settings)
    assert config.labels == (("m", "1"),)
    assert config.exposed_ports == ("53/udp", "8000/tcp", "8001/tcp")
    assert config.volumes == ("/x",)


def test_texts_are_set_and_an_empty_one_removes() -> None:
    config = configured(CONFIG, ConfigEdits(user="bob", workdir="sub", stop_signal="9"))
    assert (config.user, config.working_dir, config.stop_signal) == ("bob", "/srv/sub", "9")
    config = configured(CONFIG, ConfigEdits(user="", workdir="", stop_signal=""))
    assert (config.user, config.working_dir, config.stop_signal) == ("", "", "")


def test_commands_are_lists_or_texts_for_the_shell_of_the_image() -> None:
    config = configured(CONFIG, ConfigEdits(entrypoint='["/x", "-y"]', cmd="echo $A"))
    assert config.entrypoint == ("/x", "-y")
    assert config.cmd == ("/bin/bash", "-c", "echo $A")


def test_a_new_entrypoint_removes_the_command() -> None:
    config = configured(CONFIG, ConfigEdits(entrypoint='["/x"]'))
    assert (config.entrypoint, config.cmd) == (("/x",), None)


def test_a_new_command_leaves_the_entrypoint() -> None:
    config = configured(CONFIG, ConfigEdits(cmd=""))
    assert (config.entrypoint, config.cmd) == (("/entry",), None)


@pytest.mark.parametrize(
    "settings",
    [
        ConfigEdits(entrypoint='["unfinished'),
        ConfigEdits(cmd='["x", 1]'),
        ConfigEdits(expose=("http",)),
        ConfigEdits(volumes=("data",)),
        ConfigEdits(stop_signal="SIGNOPE"),
    ],
)
def test_what_has_no_meaning_is_refused(settings: ConfigEdits) -> None:
    with pytest.raises(BuildError):
        configured(CONFIG, settings)
