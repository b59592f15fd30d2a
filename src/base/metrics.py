"""Prometheus metrics: one registry a process, made by its app and passed on; never the library's global one.

Names are `antiphon_<what>_<unit>`; labels have few values (never a session or a turn).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from base.channels import BOOK, Book
from base.errors import Misconfigured

TICK_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
"""Buckets for what should take less than a frame: lateness, hand-overs, controls."""

LATENCY_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Buckets for what a user waits for: first audio, finals, silence after a barge-in."""

LOAD_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Buckets for loading models and starting processes."""

RATIO = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Buckets for real-time factors."""


def new_registry() -> CollectorRegistry:
    """A registry with what every process tells of itself (memory, CPU, files, garbage collection, queues)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(ChannelMetrics())
    return registry


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Body and Content-Type of `GET /metrics`."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


@contextmanager
def http_server(registry: CollectorRegistry, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serves /metrics on a daemon thread, for processes without an HTTP server; yields the port that was got.

    Raises `Misconfigured` (PORT_TAKEN) where it cannot listen.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise Misconfigured(
            f"cannot serve metrics on {host} port {port}: {error.strerror}; choose another port", reason="PORT_TAKEN"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class ChannelMetrics(Collector):
    """Exports the channels of a book, those of one name summed up."""

    def __init__(self, book: Book = BOOK) -> None:
        self._book = book

    def describe(self) -> Iterator[Metric]:
        yield from self._families().values()

    def collect(self) -> Iterator[Metric]:
        totals = {name: [0, 0, 0, *counts] for name, counts in self._book.totals().items()}
        for s in self._book.live():
            total = totals.setdefault(s.name, [0] * 6)
            total[0] += 1
            total[1] += s.length
            total[2] = max(total[2], s.high_water)
        families = self._families()
        for name, values in sorted(totals.items()):
            for family, value in zip(families.values(), values, strict=True):
                family.add_metric([name], value)
        yield from families.values()

    def _families(self) -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
        """In the order of the numbers that `collect` keeps."""
        label = ["channel"]
        return {
            "open": GaugeMetricFamily("antiphon_channels", "Channels that are open.", labels=label),
            "length": GaugeMetricFamily("antiphon_channel_items", "Items waiting.", labels=label),
            "high": GaugeMetricFamily("antiphon_channel_high_water", "Most that ever waited in one.", labels=label),
            "put": CounterMetricFamily("antiphon_channel_put", "Items taken.", labels=label),
            "dropped": CounterMetricFamily("antiphon_channel_dropped", "Items dropped for newer ones.", labels=label),
            "rejected": CounterMetricFamily("antiphon_channel_rejected", "Items refused.", labels=label),
        }
