"""The command line: from arguments to a request, from an error to a message and an exit code."""
