import io

import pytest

from asr import pipe
from asr.child import Serving
from asr.child_pipes import HEADER
from asr.recognizer import Final, RecognizerConfig, RecognizerInfo
from base.errors import AntiphonError, BadRequest

pytestmark = pytest.mark.unit


class Deafened:
    """A recogniser that hears until it meets a fault, and nothing ever after."""

    info = RecognizerInfo("deafened", ("en",), "")

    def __init__(self):
        self.deaf = False
        self.text = ""

    def open(self, config: RecognizerConfig):
        self.text = "nothing" if self.deaf else "heard"
        return self

    def start(self, utterance, sample):
        self.utterance = utterance

    def push(self, pcm):
        match pcm:
            case b"fault":
                self.deaf = True
                raise RuntimeError("something is broken now")
            case b"wrong":
                raise BadRequest("no such audio")

    def finish(self):
        return Final(self.utterance, self.text)

    def cancel(self):
        pass

    def close(self):
        if self.deaf:
            raise RuntimeError("and cannot be closed")


@pytest.fixture
def made():
    return []


@pytest.fixture
def out():
    return io.BytesIO()


@pytest.fixture
def serving(made, out):
    def make():
        made.append(Deafened())
        return made[-1]

    return Serving(make, out, set())


def hear(serving, out, job, pcm):
    """What comes back for one utterance, but for the audio taken."""
    out.seek(0)
    out.truncate()
    for message in (pipe.Begin(job, job, 0, "", (), ""), pipe.Audio(job, pcm), pipe.Finish(job)):
        serving.take(message)
    data, said = out.getvalue(), []
    while data:
        (size,) = HEADER.unpack(data[: HEADER.size])
        said.append(pipe.from_child(data[HEADER.size :][:size]))
        data = data[HEADER.size + size :]
    return [message for message in said if not isinstance(message, pipe.Taken)]


def test_a_fault_ends_its_utterance_and_the_next_is_heard_by_a_new_recogniser(serving, out, made):
    (failed,) = hear(serving, out, 1, b"fault")
    assert "something is broken" in failed.message
    (heard,) = hear(serving, out, 2, b"speech")
    assert heard.final() == Final(2, "heard")
    assert len(made) == 2


def test_an_error_of_ours_keeps_the_recogniser(serving, out, made):
    (failed,) = hear(serving, out, 1, b"wrong")
    assert failed.code == BadRequest.grpc_code
    (heard,) = hear(serving, out, 2, b"speech")
    assert heard.final() == Final(2, "heard")
    assert len(made) == 1


def test_what_cannot_be_made_anew_ends_the_child(out):
    def make():
        if made:
            raise BadRequest("the model is gone")
        made.append(Deafened())
        return made[-1]

    made = []
    serving = Serving(make, out, set())
    with pytest.raises(AntiphonError, match="gone"):
        hear(serving, out, 1, b"fault")
