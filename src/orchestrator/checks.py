"""What can be said of an orchestrator's settings without starting it, beyond their types."""

from __future__ import annotations

import time

from base import rpc
from orchestrator.access import networks
from orchestrator.catalogue import Catalogue
from orchestrator.detection import detection
from orchestrator.gate import make_gate
from orchestrator.livekit_keys import livekit_keys
from orchestrator.settings import OrchestratorSettings
from orchestrator.tls import certificate, server_context


def check(settings: OrchestratorSettings) -> None:
    """Raises Misconfigured for what an orchestrator would refuse. Loads the operator's own responder."""
    rpc.read_token(settings.worker_token_file)
    Catalogue(settings)
    detection(settings)
    make_gate(settings, time.monotonic, time.time)
    networks(settings.trusted_proxies, "trusted_proxies")
    server_context(settings.tls_cert, settings.tls_key)
    certificate(settings.tls_ca)
    livekit_keys(settings)
