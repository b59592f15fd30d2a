"""Rules about a reply that is begun before the user's turn has ended: when it is, and news of it."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.conversation.commands import ExpectReply
from orchestrator.conversation.core import Core
from orchestrator.conversation.endpointing import COMPLETE, UNFINISHED, read
from orchestrator.conversation.events import ReplyAnswering, ReplyFailed, ReplyLoading
from orchestrator.conversation.speech import only_listens
from orchestrator.conversation.turns import Draft


def early_due(core: Core) -> float | None:
    """When the answer to what was said so far may be begun; None: not as things are."""
    policy, hearing = core.policy, core.hearing
    if not policy.early or core.draft is not None or not _may_begin(core):
        return None
    text = hearing.text()
    if not text or not _worth(core, text):
        return None
    open_ends = (u.partials.all_stable_s(policy.stable_ms / 1000) for u in hearing.turn if u.words and u.final is None)
    return max(open_ends, default=float("-inf"))


def head_start(core: Core) -> float | None:
    """When the answer to the turn, which ends soon, may be begun, or its time is to be told anew; None: not so."""
    draft, due = core.draft, _ends_s(core)
    if draft is not None and draft.due_s is not None:
        return None if draft.due_s == due else float("-inf")
    if due is None or (draft is None and not _may_begin(core)):
        return None
    return due - core.policy.head_start_ms / 1000


def _ends_s(core: Core) -> float | None:
    """When the user's turn, of which no word is owed, is due to be answered; None: that is not known."""
    policy, hearing = core.policy, core.hearing
    if not policy.head_start_ms or not hearing.turn or not all(u.settled for u in hearing.turn):
        return None
    text = hearing.text()
    if not text or only_listens(hearing.turn, text, policy.language):
        return None
    return hearing.due(policy)


def _may_begin(core: Core) -> bool:
    policy, hearing = core.policy, core.hearing
    if policy.manual or core.answered <= core.unproven or core.away_since_s is not None:
        return False
    return not core.asked and hearing.commit is None and hearing.drafts < policy.early_most


def _worth(core: Core, text: str) -> bool:
    """Whether the turn is likely to end with these words."""
    turn, language = core.hearing.turn, core.policy.language
    if any(u.ended_s is None and not u.words for u in turn):
        return False  # they speak on
    if only_listens(turn, text, language):
        return False
    reading = read(text, language)
    if reading == COMPLETE:
        return True
    done = turn[-1].done if turn else None
    if done is not None and done < 0.5:
        return False
    return reading != UNFINISHED and all(u.settled for u in turn)


def begin(core: Core, now: float) -> None:
    core.begin_draft(core.hearing.text(), "early")


def expect(core: Core, now: float) -> None:
    """Says when the reply is due: soon, or, when they speak on or are to be waited for after all, not so soon."""
    draft, due = core.draft, _ends_s(core)
    soon = due is not None and due - core.policy.head_start_ms / 1000 <= now
    if draft is None:
        draft = core.begin_draft(core.hearing.text(), "head")
    core.draft = replace(draft, due_s=due if soon else None)
    core.emit(ExpectReply(draft.reply.turn, core.draft.due_s))


# --- news of it --------------------------------------------------------------------------------------------------


def _draft(core: Core) -> Draft:
    if core.draft is None:
        raise RuntimeError("news of a reply in LISTENING, and none was begun early: `Machine._stale` is to keep it out")
    return core.draft


def loading(core: Core, event: ReplyLoading, now: float) -> None:
    """The user is told when the reply is accepted."""
    _draft(core).reply.loading = True


def answering(core: Core, event: ReplyAnswering, now: float) -> None:
    _draft(core).reply.loading = False


def failed(core: Core, event: ReplyFailed, now: float) -> None:
    """Nobody was promised anything: the answer is begun again when the turn has ended."""
    core.counts[f"{_draft(core).what}_failed"] += 1
    core.hearing.drafts = core.policy.early_most
    core.draft = None
