"""The tour: what answers when no language model is set up. Only `responder` waits; everything else here is pure."""

from orchestrator.responders.tour.responder import TourResponder

__all__ = ["TourResponder"]
