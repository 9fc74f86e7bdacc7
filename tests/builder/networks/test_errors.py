from pybuild.builder.cli.failures import FAILED, describe
from pybuild.builder.networks.errors import NetworkError, NoSuchNetwork


def test_they_end_a_command_as_docker_does() -> None:
    for error in (NetworkError("no", hint="so"), NoSuchNetwork("no", hint="so")):
        failure = describe(error)
        assert (failure.text, failure.exit_code) == ("ERROR: no\nhint: so\n", FAILED)
