"""Generates docs/configuration.md from the settings classes. `--check` only says whether it is current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from antiphon.sections import sections  # noqa: E402  # the path comes first
from base.settings import Row, describe, nested, variable  # noqa: E402

TARGET = ROOT / "docs" / "configuration.md"
RECIPE = "python scripts/gen_config_docs.py"

HEAD = f"""\
# Configuration

<!-- Generated from the settings classes by `{RECIPE}`; a test checks that it is current. -->

Nothing needs to be configured: every setting has a default, and `./antiphon up` runs on them.

A setting is looked for in four places; the first that has it wins:

1. the flag of the command, `--max-sessions 20`;
2. the environment variable, `ANTIPHON_ORCHESTRATOR_MAX_SESSIONS=20`;
3. the configuration file: TOML, a table for each service;
4. its default.

```toml
# antiphon.toml
[orchestrator]
max_sessions = 20
allowed_origins = ["https://voice.example.org"]

[tts_worker]
port = 50061
```

- The file is named by `--config FILE`, else by `ANTIPHON_CONFIG`, else it is `antiphon.toml` in the current folder, if
  there is one. A section or key that nobody knows is an error that names the closest one there is.
- Flags that are no settings have a variable as well, `ANTIPHON_` with the command and the flag in capitals:
  `ANTIPHON_UP_JSON=1`, `ANTIPHON_CHAT_TEXT=1`, `ANTIPHON_SAY_VOICE=en-gb`; `--help` of each command shows them. A flag
  that may be given again takes several, with `:` between files (`ANTIPHON_CHAT_WAV=one.wav:two.wav`), else with spaces.
- A list in a variable or flag is written with commas (`ANTIPHON_CHAT_PHRASES="yes,no thanks"`), or as JSON where an
  item has a comma; a table is written as JSON. True is `true`, `yes`, `on` or `1`.
- A variable that is set and empty counts as not set, unless the setting is text or a list.
- Whether a value may be used is checked before anything starts; the message names the source, the value and what would
  be right, and the exit code is 78. `./antiphon check-config` says what every setting comes to, and from where.
- Kubernetes sets variables of its own for each service (`ANTIPHON_REGISTRY_PORT=tcp://…` for a service named
  `antiphon-registry`), which would be taken for settings: give such pods `enableServiceLinks: false`.
"""

WORDS = {
    "up": "`./antiphon up`: everything on this machine.",
    "registry": "`./antiphon registry`: knows which workers there are.",
    "orchestrator": "`./antiphon orchestrator`: sessions, turns and barge-in; serves the page.",
    "tts_worker": "`./antiphon tts-worker`: text in, speech out.",
    "asr_worker": "`./antiphon asr-worker`: speech in, text out.",
    "chat": "`./antiphon chat`: a conversation from the terminal.",
}


def generate() -> str:
    parts = [HEAD]
    for section, type_ in sections().items():
        parts.append(f"\n## [{section}]\n\n{WORDS[section]}\n")
        names = f"`{variable(section, '')}` and the name in capitals; flags: `--` and the name with hyphens"
        parts.append(f"Variables: {names}.\n")
        parts += _table(type_, section)
        for name, inner in nested(type_).items():
            parts.append(f"\nEach of `{name}` (`[[{section}.{name}]]` in the file):\n")
            parts += _table(inner, section)
    return "".join(parts)


def _table(type_: type[Any], section: str) -> list[str]:
    head = "\n| setting | takes | default | what it is |\n|---|---|---|---|\n"
    return [head, *(_line(row) for row in describe(type_, section))]


def _line(row: Row) -> str:
    default = "(none)" if row.secret else row.default
    return f"| `{row.name}` | {_cell(row.type)} | `{_cell(default)}` | {_cell(row.description)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not current")
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
