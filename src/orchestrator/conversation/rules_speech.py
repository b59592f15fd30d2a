"""Rules about the user's speech: what news of an utterance means, and when the user's turn ends."""

from __future__ import annotations

from orchestrator.conversation.commands import (
    Cause,
    ForgetUtterance,
    PrepareReply,
    RelearnNoise,
    SetTrigger,
    TellTranscript,
    TellTurnEnded,
)
from orchestrator.conversation.core import Core
from orchestrator.conversation.events import (
    FinalHeard,
    PartialHeard,
    RecognitionDelayed,
    RecognitionFailed,
    SpeechEnded,
    SpeechStarted,
    TurnJudged,
)
from orchestrator.conversation.speech import Part, Utterance, Verdict, only_listens, verdict
from orchestrator.conversation.states import LIVE, Phase

# --- news of an utterance --------------------------------------------------------------------------------


def speech_starts(core: Core, event: SpeechStarted, now: float) -> None:
    """Nobody else speaks: it is the user's turn, or goes on."""
    endpoint = core.hearing.endpoint(core.policy)
    if core.phase is Phase.LISTENING and core.hearing.commit is None and endpoint and endpoint[0] <= now:
        core.counts["withdrawn_endpoints"] += 1
    utterance = _begin(core, event, now)
    core.listen(utterance)


def speech_over_reply(core: Core, event: SpeechStarted, now: float) -> None:
    """Holds the reply, or keeps it held. One that may not be interrupted goes on; the speech is the next turn."""
    utterance = _begin(core, event, now)
    utterance.over = True
    if core.live.yields and not core.live.superseded:
        core.hold_for(utterance, now)
    else:
        core.hearing.join(utterance)


def _begin(core: Core, event: SpeechStarted, now: float) -> Utterance:
    at_s = min(event.at_s, now)
    asked = event.playing is not None and event.playing.asks
    utterance = Utterance(event.utterance, started_s=at_s, part=Part.TURN, worded_s=at_s, answers=asked)
    utterance.overhear(event.playing)
    utterance.silent = core.phase not in LIVE
    core.hearing.begin(utterance)
    return utterance


def speech_ends(core: Core, event: SpeechEnded, now: float) -> None:
    utterance = core.hearing.utterances[event.utterance]
    utterance.ended_s = max(utterance.started_s, min(event.at_s, now))
    weigh(core, utterance, now)


def partial(core: Core, event: PartialHeard, now: float) -> None:
    utterance = core.hearing.utterances[event.utterance]
    if utterance.final is not None:
        core.counts["stale_utterance"] += 1
        return
    utterance.overhear(event.playing)
    changed = utterance.partials.hear(event.text, event.stable, now)
    utterance.hear_echo(core.policy, now)
    if changed:
        utterance.worded_s = now
        if utterance.part is Part.TURN:
            core.hearing.mind_words(utterance, now)
    _tell(core, utterance, utterance.text, final=False)
    weigh(core, utterance, now)


def final(core: Core, event: FinalHeard, now: float) -> None:
    utterance = core.hearing.utterances[event.utterance]
    utterance.overhear(event.playing)
    utterance.dismissed, utterance.loudspeaker = event.dismissed, event.loudspeaker
    _settle(core, utterance, event.text.strip(), now)


def judged(core: Core, event: TurnJudged, now: float) -> None:
    """A detector's word about the end of an utterance counts until there is another one."""
    core.hearing.utterances[event.utterance].done = min(max(event.done, 0.0), 1.0)


def failed(core: Core, event: RecognitionFailed, now: float) -> None:
    """No final will come: what was understood until then stands. It is told once, and at once where it goes on."""
    utterance = core.hearing.utterances[event.utterance]
    if utterance.final is not None:
        core.counts["stale_utterance"] += 1
        return
    if not utterance.failed:
        what = "I could not make out all that you said" if event.goes_on else "I could not make out what you said"
        core.notice("recognition_failed", f"{what}: {event.message}")
    utterance.failed = True
    if event.goes_on:
        utterance.worded_s = max(utterance.worded_s, now)
        return
    _settle(core, utterance, utterance.partials.text, now)


def delayed(core: Core, event: RecognitionDelayed, now: float) -> None:
    """Its final is worth waiting for, and that no word of it comes tells nothing of what it is."""
    utterance = core.hearing.utterances[event.utterance]
    utterance.awaited_s = now + event.wait_s
    utterance.worded_s = max(utterance.worded_s, utterance.awaited_s)
    hearing = core.hearing
    if hearing.wordless_s is not None and utterance.part is Part.TURN and not utterance.words:
        hearing.wordless_s = max(hearing.wordless_s, utterance.awaited_s)


def _settle(core: Core, utterance: Utterance, text: str, now: float) -> None:
    if utterance.final is not None:
        core.counts["stale_utterance"] += 1
        return
    utterance.final = text
    if utterance.ended_s is None:  # the recogniser heard the end before the VAD did
        utterance.ended_s = now
    utterance.hear_echo(core.policy, now)
    if utterance.echo:
        core.self_echo(utterance, now)
    _tell(core, utterance, utterance.text, final=True)
    if utterance.part is Part.TURN and utterance.words:
        core.hearing.mind_words(utterance, now)
    weigh(core, utterance, now)


def _tell(core: Core, utterance: Utterance, text: str, *, final: bool) -> None:
    if text != utterance.told or (final and text):
        utterance.told = text
        core.emit(TellTranscript(utterance.id, text, final))


# --- what it means --------------------------------------------------------------------------------


def weigh(core: Core, utterance: Utterance, now: float) -> None:
    """Whether an utterance, with what is known of it now, changes anything."""
    if utterance.final is None:
        utterance.hear_echo(core.policy, now)
    if utterance.part is Part.TURN:
        _weigh_in_turn(core, utterance)
    elif core.phase in LIVE:
        _weigh_over_reply(core, utterance, now)
    else:
        _weigh_dormant(core, utterance)


def _weigh_in_turn(core: Core, utterance: Utterance) -> None:
    """A final without words leaves a turn that has other things; a backchannel over a reply leaves it in any case."""
    if utterance.final is None:
        return
    alone = len(core.hearing.turn) == 1 and not core.hearing.pieces
    if not utterance.words:
        if core.phase in LIVE or not alone:
            core.hearing.drop(utterance)
        elif utterance.echo:
            core.hearing.wordless_s = None
    elif core.phase in LIVE and utterance.ignorable(core.policy.language):
        core.hearing.drop(utterance)


def _weigh_over_reply(core: Core, utterance: Utterance, now: float) -> None:
    found = verdict(utterance, core.policy, now)
    if found is Verdict.WORDS or (found is Verdict.TIME and not core.live.loading):
        _barge_in(core, utterance)
    elif found is Verdict.FALSE or found is Verdict.LATE:
        if not utterance.alarmed:
            core.alarm(utterance, now)
        held = utterance.part is Part.HOLDING
        core.make_dormant(utterance)
        if held and not core.hearing.holding:
            core.lift(false_alarm=True)


def _barge_in(core: Core, utterance: Utterance) -> None:
    """It is the user. A reply whose model still loads is not aborted but left to be stopped when it has loaded."""
    reply = core.live
    if utterance.alarmed:
        core.counts["late_barge_ins"] += 1
        reply.false_alarms = max(0, reply.false_alarms - 1)
    core.hearing.join(utterance)
    if not reply.yields or reply.superseded:
        return
    if reply.loading:
        reply.superseded = True
        core.take_floor()
        commit = core.hearing.commit
        core.lift(false_alarm=False)
        core.hearing.commit = commit
    elif reply.sounding:
        core.counts["barge_ins"] += 1
        core.hearing.cut_off(utterance)
        core.stop("barge_in", voice=True)
    else:
        core.counts["withdrawn_replies"] += 1
        core.hearing.cut_off(utterance)
        core.stop("withdrawn", voice=True)
    core.emit(PrepareReply())


def _weigh_dormant(core: Core, utterance: Utterance) -> None:
    """Words of an utterance for which nothing waited any more, and no reply is in the way: they count."""
    if utterance.words and not utterance.ignorable(core.policy.language):
        core.counts["late_words"] += 1
        core.listen(utterance)
    elif utterance.final is not None:
        core.hearing.drop(utterance)
        _no_longer_owed(core, utterance)


def _no_longer_owed(core: Core, utterance: Utterance) -> None:
    """Its final has come and is empty: the user, who was told nothing yet, is told if it was the last one."""
    if utterance.id not in core.hearing.owed:
        return
    core.hearing.owed = frozenset() if utterance.failed else core.hearing.owed - {utterance.id}
    if not (core.hearing.owed or utterance.failed or utterance.echo or utterance.words):
        _no_words(core)


# --- what time makes of it --------------------------------------------------------------------------------


def judge(core: Core, now: float) -> None:
    """Verdicts that time alone has changed."""
    core.judged_s = now
    for utterance in (*core.hearing.holding, *core.hearing.of(Part.DORMANT)):
        if core.phase in LIVE and utterance.part is not Part.TURN:
            weigh(core, utterance, now)


def hold_is_over(core: Core, now: float) -> None:
    core.counts["longest_holds"] += 1
    for utterance in core.hearing.holding:
        if not utterance.alarmed:
            core.alarm(utterance, now)
        core.make_dormant(utterance)
    core.lift(false_alarm=True)


def noise(core: Core, now: float) -> None:
    """Sound goes on and no new word comes: the turn ends with the words that it has, the noise holds up nothing."""
    for utterance in list(core.hearing.utterances.values()):
        if utterance.ended_s is not None or utterance.worded_s + core.policy.noise_s > now:
            continue
        core.counts["noises"] += 1
        core.emit(RelearnNoise())
        if not utterance.noise_told:
            utterance.noise_told = True
            core.notice("steady_noise", "I hear a steady noise without words and am learning to ignore it.")
        if utterance.part is Part.TURN and utterance.words:
            utterance.ended_s, utterance.final = utterance.worded_s, utterance.text
            core.emit(ForgetUtterance(utterance.id))
            core.hearing.mind_words(utterance, now)
            continue
        utterance.worded_s = now
        held = utterance.part is Part.HOLDING
        core.make_dormant(utterance)
        if held and not core.hearing.holding:
            core.alarm(utterance, now)
            core.lift(false_alarm=True)
    if core.phase is Phase.LISTENING and not core.hearing.open:
        _leave_turn(core)


def sound_without_words(core: Core, now: float) -> None:
    """Sound without words has kept the turn open for as long as it may."""
    echo = any(utterance.echo for utterance in core.hearing.turn)
    for utterance in core.hearing.turn:
        if not utterance.words:
            core.make_dormant(utterance)
    core.hearing.wordless_s = None
    if not core.hearing.open:
        if core.again is None and not echo:
            _no_words(core)
        _leave_turn(core)


def turn_too_long(core: Core, now: float) -> None:
    core.notice("turn_too_long", "You have been speaking for long; I answer what I have understood so far.")
    text = core.spoken_so_far()
    if text:
        _answer(core, text, "too_long", now)
    else:
        _leave_turn(core)


def turn_ends(core: Core, now: float) -> None:
    """The endpoint passed: an answer is started, or what was stopped for nothing goes on, or the user is told."""
    hearing = core.hearing
    endpoint = hearing.endpoint(core.policy)
    reason = endpoint[1] if endpoint else "silence"
    last = hearing.commit.last if hearing.commit else hearing.last
    said = [u for u in hearing.turn if u.id <= last]
    later = [u for u in hearing.turn if u.id > last]
    text = " ".join(filter(None, (*hearing.pieces, *(u.text for u in said if u.words))))
    if hearing.commit is None and text:
        hearing.mind_pauses(said, core.policy.language)
    meant = not only_listens(said, text, core.policy.language)
    failed = any(u.failed for u in said)
    nothing = bool(said) and all(u.dismissed for u in said)
    echo = any(u.echo for u in said)
    for utterance in said:
        if utterance.words:
            core.forget(utterance)  # without a final, the last partial stands
        else:
            core.make_dormant(utterance)
    hearing.pieces.clear()
    hearing.wordless_s = hearing.commit = None
    for utterance in later:
        hearing.join(utterance)
    if text and meant:
        _answer(core, text, reason, now)
        return
    core.counts["empty_turns"] += 1
    if not echo and core.trigger.alarm(core.policy, now):
        core.emit(SetTrigger(core.policy.raised_trigger_frames))
    owed = frozenset(u.id for u in said if u.final is None)
    wordless = not text and not failed and not echo and not nothing and core.again is None
    if wordless and (later or not owed):
        _no_words(core)
    if not later:
        _leave_turn(core)
        if wordless:
            core.hearing.owed, core.hearing.owed_since_s = owed, now


def nothing_came(core: Core, now: float) -> None:
    """The finals of a turn without words are late without end."""
    core.hearing.owed = frozenset()
    _no_words(core)


def _answer(core: Core, text: str, reason: str, now: float) -> None:
    core.again = None
    core.emit(TellTurnEnded(core.turn_of((text,)), text, reason))
    core.start(Cause.USER, now, items=(text,))
    speak_over(core, now)


def speak_over(core: Core, now: float) -> None:
    """Who went on speaking after the turn was committed speaks over its answer."""
    core.hearing.wordless_s = None
    for utterance in core.hearing.turn:
        if core.phase in LIVE and core.live.yields:
            utterance.over = True
            core.hold_for(utterance, now)
    for utterance in core.hearing.holding:
        if core.phase in LIVE:
            weigh(core, utterance, now)


def _no_words(core: Core) -> None:
    core.counts["no_words"] += 1
    core.notice("no_words", "I heard no words.")


def _leave_turn(core: Core) -> None:
    core.hearing.close()
    core.phase = Phase.IDLE
    core.adopt_policy()


def quiet(core: Core, now: float) -> None:
    """No false alarm for a while: speech is noticed as early as usual again."""
    core.trigger.raised = False
    core.emit(SetTrigger(core.policy.trigger_frames))
