"""``python -m pybuild`` is ``pybuild``."""

from pybuild.builder.cli.main import main

main()
