"""`python -m benchmarks`, which is what `./antiphon bench` runs."""

from __future__ import annotations

import sys

from antiphon import cli

if __name__ == "__main__":
    # Not a command of an installation, which has no benchmarks; errors and exit codes are those of all commands.
    cli.COMMANDS.setdefault("bench", ("antiphon.commands.bench", "Measure what is promised."))
    cli.main(["bench", *sys.argv[1:]])
