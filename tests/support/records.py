"""Worker records for tests, and strategies that make them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from registry.records import ModelRecord, ModelState, Voice, WorkerKind, WorkerRecord

MODEL = ModelRecord(id="espeak", engine="espeak", languages=("en", "de"), voices=(Voice("f1", languages=("en",)),))


def worker(id: str = "w1", **changes: Any) -> WorkerRecord:
    """A TTS worker with four slots and one resident model that speaks English and German."""
    values: dict[str, Any] = {
        "kind": WorkerKind.TTS,
        "address": "127.0.0.1:50051",
        "host": "here",
        "epoch": "e1",
        "models": (MODEL,),
        "slots": 4,
    }
    return WorkerRecord(id=id, **(values | changes))


NAMES = st.sampled_from(("a", "b", "c", "é", "x y"))
LANGUAGES = st.sampled_from(("en", "en-US", "en-GB", "de", "zh-Hans", ""))
TAGS = st.lists(LANGUAGES, max_size=2).map(tuple)

voices = st.builds(Voice, id=NAMES, name=NAMES, languages=TAGS, gender=st.sampled_from(("", "female", "male")))
models = st.builds(
    ModelRecord,
    id=NAMES,
    engine=NAMES,
    state=st.sampled_from(ModelState),
    languages=TAGS,
    voices=st.lists(voices, max_size=3).map(tuple),
    sample_rate=st.integers(0, 48_000),
    features=st.frozensets(NAMES, max_size=2),
    is_default=st.booleans(),
    licence=NAMES,
)
workers = st.builds(
    WorkerRecord,
    id=NAMES,
    kind=st.sampled_from(WorkerKind),
    address=st.sampled_from(("127.0.0.1:1", "[::1]:65535", "gpu-1:50051")),
    host=NAMES,
    epoch=st.sampled_from(("e1", "e2")),
    models=st.lists(models, max_size=3).map(tuple),
    slots=st.integers(0, 4),
    slots_used=st.integers(0, 5),
    free_bytes=st.integers(0, 2**40),
    first_audio_s=st.floats(0, 10),
    rtf=st.floats(0, 10),
    draining=st.booleans(),
    version=NAMES,
)
fleets = st.lists(workers, max_size=6, unique_by=lambda w: w.id)
