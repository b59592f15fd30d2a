"""Makes docs/protocol.schema.json from the message types.

scripts/gen_schema.py           write it
scripts/gen_schema.py --check   exit 1 if it is not current
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from orchestrator import messages  # noqa: E402

TARGET = ROOT / "docs" / "protocol.schema.json"


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12: `#/$defs/ClientMessage`, `#/$defs/ServerMessage`, and each message by its name."""
    both = (get_args(messages.ClientMessage), get_args(messages.ServerMessage))
    _, types = msgspec.json.schema_components([t for side in both for t in side], ref_template="#/$defs/{name}")
    for definition in types.values():
        definition.pop("title", None)
        if "description" in definition:  # a docstring, whose indent is gone from Python 3.13 on
            definition["description"] = inspect.cleandoc(definition["description"])
    sides = {
        name: {"oneOf": [{"$ref": f"#/$defs/{t.__name__}"} for t in side]}
        for name, side in zip(("ClientMessage", "ServerMessage"), both, strict=True)
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Antiphon session protocol {messages.PROTOCOL}",
        "description": "Text messages of /v1/converse. Made by scripts/gen_schema.py; docs/protocol.md explains them.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in sides],
        "$defs": {**sides, **types},
    }


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text() == text():
            return 0
        print(f"{TARGET.relative_to(ROOT)} is not current; run scripts/gen_schema.py", file=sys.stderr)
        return 1
    TARGET.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
