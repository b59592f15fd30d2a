import string

import pytest

from orchestrator.responders.tour import lines
from orchestrator.responders.tour.scene import tell_tale

pytestmark = pytest.mark.unit

WORDINGS = [
    (name, wording)
    for name, wordings in vars(lines).items()
    if name.isupper() and isinstance(wordings, tuple)
    for wording in wordings
]
FIELDS = {"running", "tts", "asr", "offer", "wishes", "at", "last", "words", "n", "of", "time", "date"}


def test_no_tell_tale_is_part_of_another_wording():
    for name, wording in WORDINGS:
        mark = tell_tale(wording)
        others = [(n, w) for n, w in WORDINGS if w != wording and mark in w]
        # Offers and remarks are short, and only compared with their own kind.
        assert not [o for o in others if o[0] == name or len(mark) > 12], (wording, others)


def test_each_wording_stands_once():
    assert len({wording for _, wording in WORDINGS}) == len(WORDINGS)


@pytest.mark.parametrize(("name", "wording"), WORDINGS)
def test_placeholders_are_known_and_whole(name: str, wording: str):
    assert {field for _, field, _, _ in string.Formatter().parse(wording) if field is not None} <= FIELDS
    assert wording == " ".join(wording.split()), name
    assert wording[-1] in ".?!}”", name


def test_what_may_come_up_often_has_several_wordings():
    once = {"GREETING", "VOICE_AND_EARS", "VOICE_ONLY", "RUNNING_UNKNOWN", "ENGLISH_ONLY", "INVITE"}
    for name, wordings in vars(lines).items():
        if name.isupper() and isinstance(wordings, tuple) and name not in once:
            assert len(wordings) >= 2, name
    assert len(lines.STORIES) >= 3
