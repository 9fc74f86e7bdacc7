import pytest

from pybuild.grammar.dockerfile.near_miss import near_miss, nearly_array
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Source

WRITTEN = {
    "VOLUME ['/a', '/b']": 'write VOLUME ["/a", "/b"]',
    "volume ['/a']": 'read as words: write volume ["/a"]',
    'COPY ["a", "/b"': 'write COPY ["a", "/b"]',
    "COPY --chown=1 ['a b', '/c']": 'write COPY ["a b", "/c"]',
    "RUN ['ls', '-l']": 'read as a shell command: write RUN ["ls", "-l"]',
    'RUN ["ls", "-l",]': 'write RUN ["ls", "-l"]',
    'CMD ["a" "b"]': 'is not a JSON array, and is read as a shell command: write CMD ["a", "b"]',
    "ENTRYPOINT ['a' 'b', 'c']": 'write ENTRYPOINT ["a", "b", "c"]',
    'RUN ["ls""-l"]': 'write RUN ["ls", "-l"]',
    'HEALTHCHECK CMD ["curl" "-f"]': 'write HEALTHCHECK CMD ["curl", "-f"]',
    "RUN [“ls”, “-l”]": 'write RUN ["ls", "-l"]',
    "RUN --mount=target=/x [\"ls\", '-l']": 'write RUN ["ls", "-l"]',
    'CMD ["c:\\x", "y"]': 'write CMD ["c:\\\\x", "y"]',
    "ENTRYPOINT ['a']": 'write ENTRYPOINT ["a"]',
    "HEALTHCHECK --interval=5s CMD ['curl', 'x']": 'write HEALTHCHECK CMD ["curl", "x"]',
    "ONBUILD RUN ['a', 'b']": 'write RUN ["a", "b"]',
    "ONBUILD VOLUME ['a']": 'write VOLUME ["a"]',
    "VOLUME [/a]": 'write VOLUME ["/a"]',
    "VOLUME [/a /b]": 'write VOLUME ["/a", "/b"]',
    "ADD [ a, b ]": 'write ADD ["a", "b"]',
    "COPY [a, “b c”]": 'write COPY ["a", "b c"]',
    "COPY --from=x [ a b, /c, ]": 'write COPY ["a", "b", "/c"]',
    "ENTRYPOINT [a, b]": 'write ENTRYPOINT ["a", "b"]',
    "ENTRYPOINT [a,b]": 'write ENTRYPOINT ["a", "b"]',
    'CMD [ nginx, -g, "daemon off;" ]': 'write CMD ["nginx", "-g", "daemon off;"]',
    "CMD [nginx]": 'write CMD ["nginx"]',
    "HEALTHCHECK CMD [curl, -f, http://x/]": 'write HEALTHCHECK CMD ["curl", "-f", "http://x/"]',
    "RUN ['a', b]": 'write RUN ["a", "b"]',
    "COPY “a” /x": 'part of the word: write COPY ["a", "/x"]',
    "ADD “a b” ‘c’ /x": 'write ADD ["a b", "c", "/x"]',
    "VOLUME “/a”": 'write VOLUME ["/a"]',
    "USER “a”": "write USER a",
    "WORKDIR «/a b»": "write WORKDIR /a b",
    "EXPOSE 80 “81”": "write EXPOSE 80 81",
    "ONBUILD USER “a”": "write USER a",
    "COPY --exclude=/a b /c": "--exclude=/a matches nothing, because paths are relative to the source: write --exclude=a",
    "ADD --chown=1 --exclude=!//a/* b /c": "write --exclude=!a/*",
    "ONBUILD COPY --exclude=/ . /c": "write --exclude=**",
    "COPY –from=x a b": "write --from=x",
    "COPY —from=x a b": "write --from=x",
    "COPY -from=x a b": "write --from=x",
    "COPY --chown=1 –link a b": "write --link",
    "RUN –mount=type=cache,target=/x true": "write --mount=type=cache,target=/x",
    "ENV A=“x y”": 'write A="..."',
    "LABEL a=“x”": 'write a="..."',
    "LABEL a=b c=“d e”": 'write c="..."',
    "ARG A=‘x’": 'write A="..."',
}
MEANT = [
    'VOLUME ["/a"]',
    "VOLUME /a /b",
    "COPY [ab]* /x",
    "COPY [ab] /x",
    "COPY [ab] [cd]",
    "COPY don’t /x",
    "COPY “a”.txt /x",
    'COPY "x “a” y" /x',
    'COPY ["“a”", "/x"]',
    "USER a",
    "COPY a b",
    "COPY -- -from=x /y",
    'RUN [ "$a" = "b" ] && true',
    "RUN [ -f x ]",
    'RUN [ "-f" "x" ]',
    'RUN ["-f" = "x" ]',
    "RUN [ -f x ] && y",
    "CMD [ -f x ]",
    "CMD [ x ]",
    "RUN [ a,b ]",
    "RUN [ a = b, ]",
    "RUN [ $a = x,y ]",
    "RUN [ a, b ] || c",
    "RUN [[ -f x ]]",
    "RUN [ -f x ] && [ y ]",
    "RUN [[ 'a' == b ]]",
    "RUN ['",
    "RUN -x",
    "CMD -from=x",
    "RUN echo “x”",
    'ENV A="“x”"',
    "ENV A=b",
    'LABEL a="b c=“d”"',
    "HEALTHCHECK NONE",
    "FROM a",
    'RUN ["a", 1]',
    "SHELL ['a']",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_nearly_something_is_told_with_the_right_spelling(text):
    assert WRITTEN[text] in near_miss(text)


@pytest.mark.parametrize("text", MEANT)
def test_what_may_well_be_meant_is_left_alone(text):
    assert near_miss(text) == ""


def test_an_array_is_spelled_out_only_when_all_of_it_is_understood():
    assert nearly_array("['a', \"b\", “c”]") == '["a", "b", "c"]'
    assert nearly_array("['a', b]") == nearly_array("[a, b]") == '["a", "b"]'
    assert nearly_array("['a', b c]") == ""
    assert nearly_array("[ a ]") == nearly_array("[ -f a ]") == ""
    assert nearly_array('["a"]') == ""
    assert nearly_array("a") == ""


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("FROM –platform=linux/arm64 a", "write --platform=linux/arm64"),
        ("HEALTHCHECK –interval=5s CMD x", "write --interval=5s"),
        ("LABEL a=“b c”", 'write a="..."'),
    ],
)
def test_a_mistake_behind_which_one_is_has_it_as_hint(line, hint):
    head = "" if line.startswith("FROM") else "FROM a\n"
    with pytest.raises(DockerfileError) as caught:
        parse(Source("Dockerfile", f"{head}{line}\n"))
    assert hint in caught.value.hint


def test_long_text_takes_no_time():
    for text in (
        "['" * 50_000,
        "[" + "'a'," * 50_000 + "b",
        "[“" * 50_000,
        "–" * 100_000,
        "A=" * 50_000,
        "[" + "a," * 50_000 + ";",
        "[a" + " " * 100_000 + ";",
        "[ " + ", " * 50_000,
        "“ " * 50_000,
        "“a” " * 50_000,
    ):
        for keyword in ("RUN", "VOLUME", "COPY", "ENV", "USER"):
            near_miss(f"{keyword} {text}")
