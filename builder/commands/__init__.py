"""The commands of the program, one module each; each has a ``command`` and is imported when it is used."""

COMMANDS = {
    "build": "build",
    "completion": "completion",
    "copy": "copy",
    "df": "df",
    "diff": "diff",
    "flatten": "flatten",
    "history": "history",
    "images": "images",
    "import": "import_",
    "inspect": "inspect",
    "load": "load",
    "login": "login",
    "logout": "logout",
    "manifest": "manifest",
    "mutate": "mutate",
    "prune": "prune",
    "pull": "pull",
    "push": "push",
    "rebase": "rebase",
    "rmi": "rmi",
    "run": "run",
    "save": "save",
    "tag": "tag",
    "version": "version",
}
"""The module of each command."""
