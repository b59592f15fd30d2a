"""TLS for the orchestrator's HTTP."""

from __future__ import annotations

import ssl
from pathlib import Path

from base.errors import Misconfigured


def server_context(cert: str, key: str) -> ssl.SSLContext | None:
    """For a certificate (with its chain, PEM) and its key (PEM, without a password); None where none is named.

    Raises Misconfigured.
    """
    if not cert and not key:
        return None
    if not cert or not key:
        there, missing = ("tls_cert", "tls_key") if cert else ("tls_key", "tls_cert")
        raise Misconfigured(f"{there} is set without {missing}; TLS takes both", reason="BAD_TLS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A key with a password would ask for it on the terminal.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            f"tls_cert {cert!r} and tls_key {key!r} are no certificate and its key (PEM, without a password): {error}",
            reason="BAD_TLS",
        ) from error
    return context


def certificate(path: str) -> bytes:
    """The PEM certificate in a file; empty where none is named. Raises Misconfigured."""
    if not path:
        return b""
    try:
        content = Path(path).read_bytes()
        ssl.PEM_cert_to_DER_cert(content.decode("ascii").strip())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"tls_ca {path!r} is no certificate (PEM): {error}", reason="BAD_TLS") from error
    return content
