"""What every transport does with what comes in, before any queue: audio to 16 kHz frames, floods told from bursts.

Pure. Sample offsets in are at the client's rate and in the client's own count; offsets out are at 16 kHz, and frames
lie on multiples of 20 ms of it.
"""

from __future__ import annotations

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE, AudioFormat
from base.errors import BadRequest
from orchestrator.resample import FrameResampler

FRAME_SAMPLES = UPLINK_RATE // 50
BRIDGED_S = 0.1
"""A gap up to this is filled with zeros here, so that it has no seam; a longer one is left to the uplink."""
FARTHEST = 2**48
"""The last sample (190 years of 48 kHz) at which audio may begin: nothing that is counted from there overflows."""
AHEAD_S = 30.0
"""How far a client's media time may run ahead of the time that passed. Beyond it the offset is a mistake."""


class InputAudio:
    """One connection's audio: any lengths at the client's rate in, 20 ms frames of 16 kHz out.

    `begin` is where audio without an offset begins. The first offset may be any up to `FARTHEST`. After it: a gap is
    left to the uplink (which feeds zeros for it), what was already there is cut off, and an offset far in the future is
    refused. Less than one 20 ms frame waits here; none does for a client that sends whole frames on multiples of 20 ms.
    """

    def __init__(self, rate: int, begin: int = 0) -> None:
        self._begin = begin
        self._format = AudioFormat(rate)
        self._frame_bytes = self._format.frame_bytes
        self._resampler = None if rate == UPLINK_RATE else FrameResampler(rate)
        self._pending = bytearray()
        self._frame = 0
        """Number of the frame that `_pending` is filling."""
        self._next: int | None = None
        self._origin_sample = 0
        self._origin_s = 0.0
        self.repeated = 0
        """Samples (client's rate) cut off because they had been there before."""

    def push(self, sample: int | None, pcm: bytes, now: float) -> list[tuple[int, bytes]]:
        """`sample`: offset of the first sample of `pcm`; None: right after the last. Raises BadRequest."""
        if sample is not None and sample == self._next and self._is_frame(pcm):
            # Nearly all that ever comes.
            self._next += self._format.frame_samples
            self._frame += 1
            return [((self._frame - 1) * FRAME_SAMPLES, pcm)]
        self._check(pcm)
        if self._next is None:
            first = self._begin if sample is None else sample
            if first > FARTHEST:
                raise BadRequest(
                    f"audio cannot begin at sample {first}; begin where session_started.next_input_sample says",
                    reason="SAMPLE_AHEAD",
                )
            self._next = self._origin_sample = first
            self._origin_s = now
            self._align(self._next)
        if sample is not None and sample < self._next:
            cut = min(self._next - sample, len(pcm) // BYTES_PER_SAMPLE)
            self.repeated += cut
            pcm = pcm[cut * BYTES_PER_SAMPLE :]
        elif sample is not None and sample > self._next:
            self._skip(self._next, sample, now)
            self._next = sample
        self._next += len(pcm) // BYTES_PER_SAMPLE
        self._pending += pcm
        return self._frames()

    def _is_frame(self, pcm: bytes) -> bool:
        """Whether it is a whole one as it is."""
        return self._resampler is None and not self._pending and len(pcm) == self._frame_bytes

    def _check(self, pcm: bytes) -> None:
        if len(pcm) % BYTES_PER_SAMPLE:
            raise BadRequest(
                f"audio of {len(pcm)} bytes is not whole 16-bit samples; send an even number", reason="ODD_AUDIO"
            )
        longest = self._format.sample_rate * BYTES_PER_SAMPLE
        if len(pcm) > longest:
            raise BadRequest(
                f"audio of {len(pcm)} bytes is more than one second ({longest} bytes); send pieces of 20 ms",
                reason="AUDIO_TOO_LONG",
            )

    def _skip(self, expected: int, sample: int, now: float) -> None:
        """Samples `expected` to `sample` never came."""
        rate = self._format.sample_rate
        ahead_s = (sample - self._origin_sample) / rate - (now - self._origin_s)
        if ahead_s > AHEAD_S:
            raise BadRequest(
                f"audio sample {sample} lies {ahead_s:.0f} s ahead of the time that passed; expected {expected}",
                reason="SAMPLE_AHEAD",
            )
        if sample - expected <= BRIDGED_S * rate:
            self._pending += bytes((sample - expected) * BYTES_PER_SAMPLE)
        else:
            # Less than a frame from before the gap is given up.
            self._align(sample)

    def _align(self, sample: int) -> None:
        """The stream goes on at `sample`; what lies between it and the start of its frame is silence."""
        self._frame, before = divmod(sample, self._format.frame_samples)
        self._pending = bytearray(before * BYTES_PER_SAMPLE)
        if self._resampler is not None:
            self._resampler.reset()

    def _frames(self) -> list[tuple[int, bytes]]:
        out = []
        size = self._frame_bytes
        while len(self._pending) >= size:
            frame = bytes(self._pending[:size])
            del self._pending[:size]
            out.append(
                (self._frame * FRAME_SAMPLES, frame if self._resampler is None else self._resampler.frame(frame))
            )
            self._frame += 1
        return out


class Allowance:
    """A token bucket: `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """False when there is not enough; then nothing is taken."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True

    def wait_s(self, now: float, amount: float = 1.0) -> float:
        """Until there is enough; 0 if there is."""
        there = min(self._burst, self._tokens + (now - self._at) * self._rate)
        return max(0.0, (amount - there) / self._rate)
