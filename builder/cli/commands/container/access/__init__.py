"""Commands that use a container from outside: its input and output, a command in it, its files."""
