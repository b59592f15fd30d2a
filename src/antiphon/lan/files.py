"""The authority and the server's certificate on disk; keys are readable by their owner alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from antiphon.lan.authority import (
    Address,
    Pair,
    authority_fits,
    fingerprint,
    make_authority,
    make_server,
    server_fits,
)
from base.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where they lie. `new_authority`: devices have to trust it first."""

    ca: Path
    cert: Path
    key: Path
    fingerprint: str
    new_authority: bool


def certificates(folder: Path, names: Sequence[str], addresses: Sequence[Address], now: datetime) -> Certificates:
    """Those in the folder, made or renewed where they do not fit. Raises Misconfigured."""
    ca, ca_key, cert, key = (folder / name for name in ("ca.crt", "ca.key", "server.crt", "server.key"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = _read(ca, ca_key)
        new = authority is None or not authority_fits(authority, now)
        if authority is None or new:
            authority = make_authority(names[0].partition(".")[0], now)
            _write(authority, ca, ca_key)
        server = _read(cert, key)
        if server is None or not server_fits(server, authority, names, addresses, now):
            _write(make_server(authority, names, addresses, now), cert, key)
    except OSError as error:
        raise Misconfigured(f"certificates cannot be kept in {folder}: {error.strerror}", reason="BAD_TLS") from error
    return Certificates(ca, cert, key, fingerprint(authority.certificate), new)


def _read(cert: Path, key: Path) -> Pair | None:
    """None for what is not there, or is no pair."""
    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return Pair(certificate, private) if isinstance(private, ec.EllipticCurvePrivateKey) else None


def _write(pair: Pair, cert: Path, key: Path) -> None:
    """The key first: a certificate without its key would be taken for whole."""
    _put(
        key,
        pair.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    _put(cert, pair.certificate.public_bytes(serialization.Encoding.PEM))


def _put(path: Path, content: bytes) -> None:
    """In one step, and 0600 from the first byte on, as mkstemp does it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(content)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
