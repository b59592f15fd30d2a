"""src/pb is what proto/ says."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


def test_generated_stubs_are_current() -> None:
    run = subprocess.run(
        [sys.executable, "scripts/gen_proto.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr


def test_stubs_live_in_pb_and_keep_their_wire_names() -> None:
    from pb.antiphon.v1 import recognition_pb2, registry_pb2, synthesis_pb2

    for module in (synthesis_pb2, recognition_pb2, registry_pb2):
        assert module.DESCRIPTOR.package == "antiphon.v1"
    pool = descriptor_pool.Default()
    assert pool.FindServiceByName("antiphon.v1.TextToSpeech").methods_by_name["Synthesize"].client_streaming
