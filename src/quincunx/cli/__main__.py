"""``python -m quincunx.cli``: the same as ``quincunx``."""

from quincunx.cli.main import main

main()
