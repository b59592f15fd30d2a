"""Generates configs/antiphon.toml, every setting commented out at its default.

`--check` only says whether it is current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from antiphon.sections import sections  # noqa: E402  # the path comes first
from base.settings import Row, describe  # noqa: E402

TARGET = ROOT / "configs" / "antiphon.toml"
RECIPE = "python scripts/gen_config_example.py"

HEAD = f"""\
# Every setting of Antiphon, commented out, at its default. docs/configuration.md says how they are found and has the
# same as tables. Copy this to antiphon.toml where you start antiphon, or name it with --config.
#
# Generated from the settings classes by `{RECIPE}`; a test checks that it is current.
"""


def generate() -> str:
    parts = [HEAD]
    for section, type_ in sections().items():
        parts.append(f"\n\n[{section}]\n")
        parts += [_setting(row) for row in describe(type_, section)]
    return "".join(parts)


def _setting(row: Row) -> str:
    """TOML has no word for nothing; its other values are written as in JSON (of tables, only {} occurs)."""
    takes = "" if row.type in ("text", "true or false") else f"# Takes {row.type}.\n"
    default = f"# {row.name} =" if row.default in ("(none)", "(required)") else f"# {row.name} = {row.default}"
    return f"\n# {row.description}\n{takes}{default}\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is not current")
    options = parser.parse_args(arguments)
    fresh = generate()
    if options.check:
        current = TARGET.exists() and TARGET.read_text(encoding="utf-8") == fresh
        if not current:
            print(f"{TARGET.relative_to(ROOT)} is not current; run: {RECIPE}", file=sys.stderr)
        return 0 if current else 1
    TARGET.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
