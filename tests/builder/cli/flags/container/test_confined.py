import pytest

from pybuild.builder.cli.flags.container.confined import no_new_privileges
from pybuild.builder.errors import RequestError


def test_new_privileges_are_refused_where_an_option_says_so() -> None:
    assert not no_new_privileges(())
    for words in (
        ("no-new-privileges",),
        ("no-new-privileges:true",),
        ("no-new-privileges=false", "no-new-privileges"),
    ):
        assert no_new_privileges(words)
    assert not no_new_privileges(("no-new-privileges:false",))


def test_other_security_options_are_refused() -> None:
    for wrong in ("seccomp=profile.json", "apparmor=other", "label:disable", "no-new-privileges:odd", ""):
        with pytest.raises(RequestError, match="--security-opt"):
            no_new_privileges((wrong,))
