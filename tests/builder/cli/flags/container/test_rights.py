from pybuild.builder.cli.flags.container.rights import RightsFlags
from pybuild.builder.request import Rights


def test_flags_of_containers_are_those_of_steps() -> None:
    flags = RightsFlags(cap_add=("net_admin",), group_add=("44",), security_opts=("seccomp=unconfined",))
    assert flags.confinement() == Rights(cap_add=("CAP_NET_ADMIN",), groups=("44",), seccomp="")
