from __future__ import annotations

import urllib.request

import pytest

from base.errors import Misconfigured
from base.metrics import http_server, new_registry

pytestmark = pytest.mark.integration


def test_metrics_are_served_and_a_taken_port_is_said() -> None:
    registry = new_registry()
    with http_server(registry) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            assert b"python_info" in answer.read()
        with pytest.raises(Misconfigured, match=f"port {port}") as caught, http_server(registry, port=port):
            pass
        assert caught.value.reason == "PORT_TAKEN"
    with http_server(registry, port=port) as again:
        assert again == port
