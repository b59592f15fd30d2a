"""The state diagram and the table of the docs, made from the transition table.

`python -m orchestrator.conversation.diagram docs/conversation.md` writes them into the page, between its markers.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

from orchestrator.conversation.states import Phase, Timer
from orchestrator.conversation.table import TABLE, Happens

BEGIN = "<!-- made from the transition table: begin -->"
END = "<!-- made from the transition table: end -->"


def label(what: Happens) -> str:
    """An event in words ("speech started"), a timer in brackets ("[endpoint]")."""
    if isinstance(what, Timer):
        return f"[{what.value}]"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", what.__name__).lower()


def mermaid() -> str:
    """A Mermaid state diagram. What leaves a phase as it is is left out; what ends the session does so from any."""
    edges: dict[tuple[Phase, Phase], list[str]] = defaultdict(list)
    ends: list[str] = []
    for what, rules in TABLE.items():
        for at, rule in rules.items():
            for to in Phase:
                if to not in rule.to or to is at:
                    continue
                if to is Phase.TERMINATED:
                    ends += [label(what)] if label(what) not in ends else []
                else:
                    edges[at, to].append(label(what))
    lines = ["stateDiagram-v2", "    [*] --> session", "    state session {", "        [*] --> IDLE"]
    order = list(Phase)
    for at, to in sorted(edges, key=lambda edge: (order.index(edge[0]), order.index(edge[1]))):
        lines.append(f"        {at.name} --> {to.name} : {', '.join(edges[at, to])}")
    lines += ["    }", f"    session --> TERMINATED : {', '.join(ends)}", "    TERMINATED --> [*]"]
    return "\n".join(lines)


def grid() -> str:
    """A Markdown table: where each thing that happens may lead from each phase. "·": nowhere else; empty: cannot be."""
    phases = [phase for phase in Phase if phase is not Phase.TERMINATED]
    rows = ["| | " + " | ".join(phase.name for phase in phases) + " |", "|---|" + "---|" * len(phases)]
    for what, rules in TABLE.items():
        cells = []
        for phase in phases:
            rule = rules.get(phase)
            others = [to.name for to in Phase if rule is not None and to in rule.to and to is not phase]
            stays = rule is not None and phase in rule.to
            cells.append(" ".join((["·"] if stays else []) + others))
        rows.append(f"| {label(what)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def updated(page: str) -> str:
    """The page with what is between its markers made anew. Raises ValueError if it has none."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"the page must have the lines {BEGIN!r} and {END!r} once each")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n```mermaid\n{mermaid()}\n```\n\n{grid()}\n\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(updated(target.read_text(encoding="utf-8")), encoding="utf-8")
