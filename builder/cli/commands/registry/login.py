"""``pybuild login``: check credentials with a registry, and store them."""

import os
import sys
from pathlib import Path

import click

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.flags.access import TlsFlags, auth_file_option
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.tools import is_terminal, note, say
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.errors import CredentialsError, RegistryDenied
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.credentials import CredentialFiles
from pybuild.builder.oci.registry.auth.file import server_key
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.registry import open_registry
from pybuild.builder.store.free_space import writing
from pybuild.grammar.reference import DEFAULT_REGISTRY
from pybuild.runtime.values import frozen

_UNENCRYPTED = """
WARNING! Your credentials are stored unencrypted in '{path}'.
Configure a credential helper (credsStore) to remove this warning.
"""


@frozen
class LoginFlags:
    """The credentials of the command line. An empty user name or password counts as given."""

    username: str | None = option("-u", "--username", empty=True, metavar="NAME", help="User name.")
    password: str | None = option(
        "-p", "--password", empty=True, metavar="PASSWORD", help="Password or token; --password-stdin is safer."
    )
    password_stdin: bool = option("--password-stdin", is_flag=True, help="Read the password from standard input.")
    get_login: bool = option(
        "--get-login", is_flag=True, help="Print the name of the user that is logged in to SERVER."
    )


@click.command("login", cls=Command)
@click.argument("server", required=False, metavar="[SERVER]")
@takes(LoginFlags, "flags")
@auth_file_option
@takes(TlsFlags, "tls")
def command(server: str | None, *, flags: LoginFlags, authfile: Path | None, tls: TlsFlags) -> None:
    """Log in to the registry SERVER (default: Docker Hub) and store the credentials for pull, push and build.

    They are stored where Docker stores them: in the credential helper that config.json names, else in config.json.
    """
    registry = registry_of(server)
    files = credential_files(authfile)
    if flags.get_login:
        say(_who(files, registry))
        return
    if flags.password is not None:
        click.echo("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", err=True)
    credentials = _given(flags.username, flags.password, stdin=flags.password_stdin)
    credentials = credentials or (None if flags.username else _known(files, registry)) or _asked(flags.username)
    access = Access(credentials=credentials, verify=tls.tls_verify, certificates=tls.cert_dir, tell=note)
    with open_registry(registry, access) as opened:
        try:
            opened.log_in()
        except RegistryDenied as error:
            if error.status not in {401, 403}:
                raise
            raise RegistryDenied(f"{error}", hint="the user name or the password is wrong") from error
    with writing(files.own_file()):
        path = files.keep(registry, credentials)
    if path is not None:
        click.echo(_UNENCRYPTED.format(path=path), err=True)
    say("Login Succeeded")


def registry_of(server: str | None) -> str:
    """Return the name of a registry as in references. Users may also write the URL of its API."""
    if not server:
        return DEFAULT_REGISTRY
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DEFAULT_REGISTRY if server_key(host) != host else host


def credential_files(chosen: Path | None) -> CredentialFiles:
    """Return the credential files of the user, or the file that the command line names."""
    return CredentialFiles(env=os.environ, home=Path.home(), chosen=chosen)


def _who(files: CredentialFiles, registry: str) -> str:
    found = files.find(registry)
    if found is None:
        raise CredentialsError(f"not logged into {registry}")
    return found.username


def _given(username: str | None, password: str | None, *, stdin: bool) -> Credentials | None:
    """Return the credentials of the command line; None when they are not complete."""
    if stdin:
        if password is not None:
            raise RequestError("--password and --password-stdin are mutually exclusive")
        if not username:
            raise RequestError("Must provide --username with --password-stdin")
        if is_terminal(0):
            raise RequestError("--password-stdin: standard input is a terminal", hint="redirect it")
        password = sys.stdin.read().rstrip("\r\n")
    if password is not None and (not username or not password):
        raise RequestError("a password needs a user name, and must not be empty")
    if username and ":" in username:
        raise RequestError("a user name must not have a colon")
    return Credentials(username, password) if username and password else None


def _known(files: CredentialFiles, registry: str) -> Credentials | None:
    """Return the stored credentials, if there are any."""
    found = files.find(registry)
    if found is not None:
        click.echo("Authenticating with existing credentials...", err=True)
    return found


def _asked(username: str | None) -> Credentials:
    if not is_terminal(0):
        raise RequestError(
            "Cannot perform an interactive login from a non TTY device", hint="use --username and --password-stdin"
        )
    name = username or click.prompt("Username", err=True)
    return Credentials(name, click.prompt("Password", hide_input=True, err=True))
