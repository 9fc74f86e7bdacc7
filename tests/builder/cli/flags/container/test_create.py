import pytest

from pybuild.builder.cli.flags.container.create import restart_policy
from pybuild.builder.errors import RequestError


def test_restart_policies() -> None:
    assert restart_policy("no") == ("no", 0)
    assert restart_policy("on-failure:3") == ("on-failure", 3)
    assert restart_policy("unless-stopped") == ("unless-stopped", 0)
    for wrong in ("", "never", "always:3", "on-failure:x", "on-failure:", "on-failure:-1", f"on-failure:{'1' * 5000}"):
        with pytest.raises(RequestError, match="invalid restart policy"):
            restart_policy(wrong)
