from __future__ import annotations

import gc

import pytest
from prometheus_client import CollectorRegistry, Gauge

from base.channels import Channel, Policy
from base.metrics import exposition, new_registry

pytestmark = pytest.mark.unit


def value(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"antiphon_channel{name}", {"channel": "measured"})


def test_channels_of_one_name_are_summed_and_counters_outlive_them() -> None:
    registry = new_registry()
    channels = [Channel[int]("measured", 2, Policy.DROP_OLDEST) for _ in range(2)]
    for channel in channels:
        for item in range(3):
            channel.put_nowait(item)
    channels[0].get_nowait()
    assert value(registry, "s") == 2
    assert value(registry, "_items") == 3
    assert value(registry, "_high_water") == 2
    assert value(registry, "_put_total") == 6
    assert value(registry, "_dropped_total") == 2
    channels[0].close()
    assert value(registry, "s") == 1
    assert value(registry, "_items") == 2
    del channel, channels
    gc.collect()
    assert value(registry, "s") == 0
    assert value(registry, "_put_total") == 6


def test_registries_are_apart_and_expose_the_process() -> None:
    one, two = new_registry(), new_registry()
    Gauge("antiphon_only_here", "A number.", registry=one)
    body, content_type = exposition(two)
    assert b"python_info" in body
    assert b"antiphon_only_here" not in body
    assert content_type.startswith("text/plain")
