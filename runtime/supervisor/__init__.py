"""A process that answers system calls of a step, so that files have owners for which there are no ids."""
