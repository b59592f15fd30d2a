"""What a client asks of its session, as the values that the session works with. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unicodedata import category

from base.audio import AudioFormat
from base.errors import BadRequest
from base.language import ANY, matches
from orchestrator import messages as m
from orchestrator.conversation.policy import Policy
from orchestrator.ports import Adjust, VoiceChoice

JOINERS = "\u200c\u200d"
"""Zero-width characters that letters and emoji are made with."""
SPOKEN = "en"
"""The usual language of replies where the usual one to hear is whichever."""
DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean_text(text: str) -> str:
    """One line without control characters; runs of white space become one space."""
    kept = (" " if ch.isspace() else ch for ch in text if ch.isspace() or ch in JOINERS or category(ch) not in DROPPED)
    return " ".join("".join(kept).split())


def check_formats(start: m.SessionStart) -> None:
    """Raises BadRequest for audio that is not spoken here; it names the field."""
    for field in ("input_rate", "output_rate"):
        try:
            AudioFormat(getattr(start, field), start.encoding)
        except BadRequest as error:
            error.where = "encoding" if error.reason == "BAD_ENCODING" else field
            raise


def usual_choice(model: str, voice: str, language: str) -> VoiceChoice:
    """The operator's."""
    if language == ANY:
        return VoiceChoice(model=model, voice=voice, language=SPOKEN, hears=ANY)
    return VoiceChoice(model=model, voice=voice, language=language)


def changed_choice(choice: VoiceChoice, wish: m.SessionStart | m.SessionUpdate | Adjust) -> VoiceChoice:
    """`choice` with what is wished for; None leaves things as they are.

    The language "*" is one to hear: what is spoken stays, unless a voice is wished for, which brings its own.
    """
    changes: dict[str, Any] = {
        field: value
        for field in ("voice", "language", "ear", "rate", "pitch")
        if (value := getattr(wish, field, None)) is not None
    }
    if changes.get("language") == ANY:
        del changes["language"]
        changes["hears"] = ANY
    elif "language" in changes:
        changes["hears"] = ""
    made = replace(choice, **changes)
    return replace(made, language="") if made.hears == ANY and "voice" in changes else made


def settled_choice(choice: VoiceChoice, usual: VoiceChoice, language_of: Callable[[str, str], str]) -> VoiceChoice:
    """`choice` with the operator's `usual` where it names nothing. A voice alone brings its own language.

    `language_of(voice, language)`: the language if the voice speaks it, else the voice's own. The usual voice is
    for the usual language; in another one it is the worker's choice.
    """
    language = choice.language or language_of(choice.voice, usual.language)
    voice = choice.voice or (usual.voice if language == usual.language else "")
    hears = choice.hears or ("" if choice.language else usual.hears)
    return replace(choice, model=choice.model or usual.model, voice=voice, language=language, hears=hears)


def detected_choice(
    choice: VoiceChoice, usual: VoiceChoice, detected: str, language_of: Callable[[str, str], str]
) -> VoiceChoice:
    """`choice` for a user who turned out to speak `detected`: that is what they are answered in.

    A voice that they asked for stays, and speaks it if it can; the usual one gives way to one of that language. What is
    spoken as it is, of whatever region, stays.
    """
    if choice.language and matches(detected, choice.language):
        return choice
    if choice.voice and choice.voice != usual.voice:
        return replace(choice, language=language_of(choice.voice, detected))
    if usual.language and matches(detected, usual.language):
        return replace(choice, language=usual.language, voice=usual.voice)
    speaks = bool(usual.voice) and matches(detected, language_of(usual.voice, detected))
    return replace(choice, language=detected, voice=usual.voice if speaks else "")


def changed_policy(policy: Policy, wish: m.SessionStart | m.SessionUpdate) -> Policy:
    """`policy` with what is wished for; None leaves things as they are."""
    changes: dict[str, Any] = {}
    if wish.endpointing is not None:
        for field in ("endpoint_ms", "confirm_ms", "resume_ms"):
            value = getattr(wish.endpointing, field)
            if value is not None:
                changes[field] = value
        if wish.endpointing.mode is not None:
            changes["adaptive"] = wish.endpointing.mode == "adaptive"
        if wish.endpointing.early is not None:
            changes["early"] = wish.endpointing.early
    if wish.interruptible is not None:
        changes["interruptible"] = wish.interruptible
    if wish.turn_detection is not None:
        changes["manual"] = wish.turn_detection == "manual"
    return replace(policy, **changes)
