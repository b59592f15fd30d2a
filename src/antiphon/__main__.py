"""`python -m antiphon`."""

import sys

if __name__ == "__main__":
    try:
        from antiphon.cli import main

        main()
    except KeyboardInterrupt:
        # Before `main` could look after it, or while the process ends: as everywhere (`antiphon.exits.STOPPED`).
        sys.exit(130)
