"""What a brain raises when it cannot answer: the message has every detail, `spoken` is one sentence for the ear.

    ResponderError
    ├── ModelUnreachable   nothing answers there                       unavailable
    ├── ModelBrokeOff      it began to answer and broke off            unavailable
    ├── ModelFailed        it answered that it has a fault             unavailable
    ├── ModelGarbled       it answered with what nobody can read       unavailable
    ├── ModelSilent        it answered without a word                  unavailable
    ├── ModelCutShort      it used up its tokens before the first word misconfigured
    ├── ModelRefused       the key is wrong or missing                 denied
    ├── ModelMissing       no such model or address                    misconfigured
    ├── ModelRejected      it will not take our request                misconfigured
    ├── ModelBusy          it has no room now                          at_capacity
    └── ModelSlow          it took too long                            timed_out

The driver speaks `spoken` and shows `message`.
"""

from __future__ import annotations

from typing import ClassVar

from base.errors import AntiphonError, AtCapacity, Denied, Misconfigured, TimedOut, Unavailable


class ResponderError(AntiphonError):
    """Root of the tree. `spoken` says to the user, in one sentence, what went wrong."""

    default_reason = "RESPONDER_FAILED"
    default_spoken: ClassVar[str] = "I can't answer right now."

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        retry_after_s: float | None = None,
        spoken: str | None = None,
    ) -> None:
        super().__init__(message, reason=reason, retry_after_s=retry_after_s)
        self.spoken = spoken or self.default_spoken


class ModelUnreachable(ResponderError, Unavailable):
    default_reason = "MODEL_UNREACHABLE"
    default_spoken = "I can't reach my language model right now."


class ModelBrokeOff(ResponderError, Unavailable):
    default_reason = "MODEL_BROKE_OFF"
    default_spoken = "My language model broke off in the middle."


class ModelFailed(ResponderError, Unavailable):
    default_reason = "MODEL_FAILED"
    default_spoken = "My language model ran into an error of its own."


class ModelGarbled(ResponderError, Unavailable):
    default_reason = "MODEL_GARBLED"
    default_spoken = "My language model sent something that I can't read."


class ModelSilent(ResponderError, Unavailable):
    default_reason = "MODEL_SILENT"
    default_spoken = "My language model had nothing to say to that."


class ModelCutShort(ResponderError, Misconfigured):
    default_reason = "MODEL_CUT_SHORT"
    default_spoken = "My language model thought for so long that it never got to its answer."


class ModelRefused(ResponderError, Denied):
    default_reason = "MODEL_REFUSED"
    default_spoken = "My language model won't let me in; its key may be wrong."


class ModelMissing(ResponderError, Misconfigured):
    default_reason = "MODEL_MISSING"
    default_spoken = "The language model I was told to use isn't there."


class ModelRejected(ResponderError, Misconfigured):
    default_reason = "MODEL_REJECTED"
    default_spoken = "My language model didn't accept what I asked of it."


class ModelBusy(ResponderError, AtCapacity):
    default_reason = "MODEL_BUSY"
    default_spoken = "My language model is busy; please ask me again in a moment."


class ModelSlow(ResponderError, TimedOut):
    default_reason = "MODEL_SLOW"
    default_spoken = "My language model took too long to answer."
