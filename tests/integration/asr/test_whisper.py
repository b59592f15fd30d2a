import pytest
from tests.support import whisper_models as w
from tests.support.recognition import Stream, asr_worker


async def test_line(tmp_path):
    folder = w.build(tmp_path / "tiny.en")
    async with asr_worker(engine="whisper", model=str(folder)) as stub:
        s = Stream(stub)
        r = await s.open()
        print(r)
        await s.say(1, w.sound("what time is it") + bytes(16000), sample=160000, pace=0.1)
        await s.end(1)
        f = await s.final(1)
        print(s.partials, f)
        assert f.text == "what time is it"
