"""The command line: from words to a request, from an error to a message and an exit code."""
