from __future__ import annotations

import pytest

from antiphon.chat.devices import Devices, missing_devices

pytestmark = pytest.mark.unit

MICROPHONE = {"max_input_channels": 1, "max_output_channels": 0}
LOUDSPEAKER = {"max_input_channels": 0, "max_output_channels": 2}


def test_what_is_not_there_is_named() -> None:
    assert missing_devices([], Devices()) == ["microphone", "loudspeaker"]
    assert missing_devices([MICROPHONE], Devices()) == ["loudspeaker"]
    assert missing_devices([MICROPHONE, LOUDSPEAKER], Devices()) == []
    assert missing_devices([], Devices(microphone="Headset", loudspeaker="3")) == []
