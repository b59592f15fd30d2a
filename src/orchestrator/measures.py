"""The orchestrator's own metrics: what users wait for, and how full it is. Names as in base.metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from base.metrics import LATENCY_S
from orchestrator.explain import TurnLine
from orchestrator.hub import HubStatistics
from registry.directory import DirectoryStatistics

if TYPE_CHECKING:
    from orchestrator.dispatch.worker import DispatchStatistics


class Measures(Collector):
    """Registers itself; `watch` names where the gauges are read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._response = Histogram(
            "antiphon_response_seconds",
            "Last voiced sample of the user to the reply's first sample given to the transport.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self._turns = Counter(
            "antiphon_turns", "Replies, by why they began and how they ended.", ["cause", "outcome"], registry=registry
        )
        self._events = Counter(
            "antiphon_session_events",
            "What happened in sessions that are over: false_alarms, barge_ins, uplink_dropped, failovers, …",
            ["what"],
            registry=registry,
        )
        self._hub: Callable[[], HubStatistics] | None = None
        self._ticker: Callable[[], Mapping[str, float]] | None = None
        self._directory: Callable[[], DirectoryStatistics] | None = None
        self._livekit: Callable[[], DispatchStatistics] | None = None
        registry.register(self)

    def watch(
        self,
        *,
        hub: Callable[[], HubStatistics],
        ticker: Callable[[], Mapping[str, float]],
        directory: Callable[[], DirectoryStatistics],
    ) -> None:
        self._hub, self._ticker, self._directory = hub, ticker, directory

    def watch_livekit(self, livekit: Callable[[], DispatchStatistics]) -> None:
        self._livekit = livekit

    def session(self, counts: Mapping[str, int]) -> None:
        """A session is over; `counts` is its `statistics`."""
        for what, count in counts.items():
            if count > 0:
                self._events.labels(what).inc(count)

    def turn(self, line: TurnLine) -> None:
        self._turns.labels(line.cause, line.outcome).inc()
        if line.response_s is not None:
            self._response.observe(line.response_s)

    def collect(self) -> Iterable[Metric]:
        if self._hub is not None:
            hub = self._hub()
            yield _gauge("antiphon_sessions", "Sessions open, in their grace time included.", hub.sessions)
            yield _gauge("antiphon_sessions_connected", "Sessions with a transport.", hub.connected)
            yield _gauge("antiphon_sessions_opened", "Sessions opened since the start.", hub.opened)
            yield _gauge("antiphon_sessions_resumed", "Sessions resumed since the start.", hub.resumed)
            yield _gauge("antiphon_sessions_refused", "Sessions refused at capacity since the start.", hub.refused)
            yield _gauge("antiphon_requests_denied", "Requests without a right since the start.", hub.denied)
        if self._directory is not None:
            directory = self._directory()
            yield _gauge("antiphon_directory_workers", "Workers known.", directory.workers)
            yield _gauge("antiphon_directory_stale_seconds", "Time without news of the registry.", directory.stale_s)
        if self._livekit is not None:
            livekit = self._livekit()
            yield _gauge("antiphon_livekit_registered", "1: LiveKit gives us rooms.", livekit.registered)
            yield _gauge("antiphon_livekit_registrations", "Times registered since the start.", livekit.registrations)
            yield _gauge("antiphon_livekit_rooms", "Rooms that are served.", livekit.jobs)
            yield _gauge("antiphon_livekit_reserved", "Places held for rooms without a session yet.", livekit.reserved)
            yield _gauge("antiphon_livekit_accepted", "Jobs accepted since the start.", livekit.accepted)
            yield _gauge("antiphon_livekit_refused", "Jobs refused since the start.", livekit.refused)
            yield _gauge("antiphon_livekit_failed", "Rooms that ended with an error.", livekit.failed)
        for name, value in (self._ticker() if self._ticker is not None else {}).items():
            yield _gauge(f"antiphon_ticker_{name}", "Of the ticker that paces all playout.", value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)
