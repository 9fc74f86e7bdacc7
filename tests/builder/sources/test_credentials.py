import base64

import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.request import Secret
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.credentials import git_authorization, http_authorization


@pytest.fixture
def request_(monkeypatch):
    def made(**values):
        secrets = []
        for number, (name, value) in enumerate(values.items()):
            monkeypatch.setenv(f"S{number}", value)
            secrets.append(Secret(id=name.replace("__", "."), variable=f"S{number}"))
        return HostInputs(secrets=tuple(secrets))

    return made


def basic(token):
    return "basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


def test_without_a_secret_nothing_is_sent(request_):
    assert http_authorization("h", request_()) is None
    assert git_authorization("h", request_(), own=True) is None


def test_a_token_is_for_one_host(request_):
    request = request_(HTTP_AUTH_TOKEN_h="word\n")
    assert http_authorization("h", request) == "Bearer word"
    assert http_authorization("other", request) is None


def test_a_whole_header_wins_over_a_token(request_):
    assert http_authorization("h", request_(HTTP_AUTH_TOKEN_h="t", HTTP_AUTH_HEADER_h="Basic x")) == "Basic x"


def test_a_git_token_without_a_host_is_for_the_repository_of_the_user_alone(request_):
    request = request_(GIT_AUTH_TOKEN="t")
    assert git_authorization("h", request, own=True) == basic("t")
    assert git_authorization("h", request, own=False) is None


def test_a_git_secret_with_a_host_goes_there_and_wins(request_):
    request = request_(GIT_AUTH_TOKEN="t", GIT_AUTH_TOKEN__h="u", GIT_AUTH_HEADER__k="Basic z")
    assert git_authorization("h", request, own=True) == basic("u")
    assert git_authorization("h", request, own=False) == basic("u")
    assert git_authorization("k", request, own=False) == "Basic z"


def test_an_empty_token_is_none(request_):
    request = request_(GIT_AUTH_TOKEN__h="", GIT_AUTH_TOKEN="t", HTTP_AUTH_TOKEN_h="")
    assert git_authorization("h", request, own=True) == basic("t")
    assert http_authorization("h", request) is None


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "ä"])
def test_a_secret_that_is_no_header_line_is_refused_without_repeating_it(request_, value):
    with pytest.raises(BuildError, match="HTTP_AUTH_TOKEN_h: not valid in a header") as caught:
        http_authorization("h", request_(HTTP_AUTH_TOKEN_h=value))
    assert "Other" not in str(caught.value)
