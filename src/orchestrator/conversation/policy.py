"""How the machine decides: every number and switch of the conversation's rules."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in `_ms` are milliseconds, in `_s` seconds. A change counts from the next turn."""

    endpoint_ms: float = 500
    """The user's turn ends this long after the last voiced sample…"""
    adaptive: bool = True
    """…or sooner or later, by what was said and by how this user pauses; if not, after exactly so long…"""
    endpoint_floor: float = 0.5
    """…never sooner than this many times as long (when what was said reads as complete)…"""
    endpoint_ceiling: float = 3.0
    """…nor later than this many times (when it reads as unfinished)."""
    early: bool = False
    """A reply may be begun before the user's turn has ended, and is thrown away if they say something else."""
    early_most: int = 3
    """So many are begun in one turn of the user."""
    head_start_ms: float = 0
    """When no word is owed any more, a reply is begun so long before the user's turn ends, whatever the words."""
    final_ms: float = 500
    """How long past the endpoint a final is waited for; then the last partial stands."""
    owed_s: float = 10.0
    """Where there was no word either, the user is told so when the final has come empty, or this long past the end of
    the turn if none comes."""
    confirm_ms: float = 700
    """Speech this long over a reply stops it even without words."""
    hangover_ms: float = 0
    """How long after the last voiced sample the VAD says that speech ended: while it has not said so, speech is known
    to have gone on only until this long ago."""
    resume_ms: float = 600
    """A held reply goes on this long after the speech ended when no final came."""
    stable_ms: float = 200
    """A word that stands in the partials for this long is stable."""
    hold_max_s: float = 3.0
    """Sound without words keeps nothing waiting for longer: neither a held reply, nor a turn that has its words."""
    noise_s: float = 8.0
    """Speech, by the VAD, for this long without a new word is a steady noise."""
    turn_max_s: float = 120.0
    """The user's turn is ended after so long, whatever they do (unless `manual`)."""
    grace_s: float = 30.0
    """A session outlives its transport by this."""
    say_queue: int = 8
    """How many texts may wait, of `say` and of `ask` each."""
    trigger_frames: int = 2
    raised_trigger_frames: int = 4
    """VAD frames that start an utterance: usually, and while there are false alarms."""
    false_alarm_window_s: float = 5.0
    false_alarm_quiet_s: float = 10.0
    echoes_told: int = 3
    """The user is told when the loudspeaker was heard so often."""
    manual: bool = False
    """Only the client ends the user's turn (turn_commit, input released)."""
    interruptible: bool = True
    """Speech may stop a reply. If not, it is the next turn. `interrupt` and `ask` always stop one."""
    language: str = ""
    """BCP 47; chooses the words that are backchannels or show an unfinished sentence. Unknown: there are none."""
    apology: str = "Sorry, something went wrong. Please try again."
    """Spoken when a reply failed."""

    def without_partials(self) -> Policy:
        """For a recogniser that gives finals only: there, sound without words yet is no sign of a noise."""
        return replace(self, hold_max_s=max(self.hold_max_s, 30.0), noise_s=max(self.noise_s, 60.0))
