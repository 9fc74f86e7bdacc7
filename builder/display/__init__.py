"""How a build looks while it runs: displays take the events of `builder.progress` and write to a stream handed in.

Everything that comes from outside (output of steps, names, error texts) passes `sanitize` on its way to a terminal.
"""
