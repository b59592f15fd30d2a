"""The page of docs is current, and the table has a rule for what may happen in every phase."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.conversation import diagram, events
from orchestrator.conversation.states import Phase, Timer
from orchestrator.conversation.table import TABLE

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[4] / "docs" / "conversation.md"


def test_the_page_has_the_diagram_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert diagram.updated(page) == page, "run: python -m orchestrator.conversation.diagram docs/conversation.md"


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="once each"):
        diagram.updated("# Conversation")


def test_every_event_and_every_timer_has_rules() -> None:
    assert set(TABLE) == {*events.Event.__args__, *Timer}


def test_nothing_leads_out_of_the_end() -> None:
    assert not any(Phase.TERMINATED in rules for rules in TABLE.values())


def test_every_phase_is_reached_and_left() -> None:
    reached = {to for rules in TABLE.values() for at, rule in rules.items() for to in rule.to if to is not at}
    left = {at for rules in TABLE.values() for at, rule in rules.items() if rule.to != {at}}
    assert reached == set(Phase)
    assert left == set(Phase) - {Phase.TERMINATED}


def test_a_reply_is_started_only_where_none_is() -> None:
    for rules in TABLE.values():
        for at, rule in rules.items():
            if Phase.THINKING in rule.to and at not in (Phase.THINKING, Phase.WITHHELD):
                assert at in (Phase.IDLE, Phase.LISTENING)
