"""A certificate authority for one household, and the certificate of a server in it: values in, values out.

The authority may vouch for private addresses and .local names alone (RFC 5280, 4.2.1.10): a device that trusts it
trusts nobody for a bank because of it, even if its key is stolen.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PRIVATE = tuple(
    ipaddress.ip_network(n)
    for n in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip
PRIVATE_NAMES = ("local", "localhost", "home.arpa")
AUTHORITY_LIFE = timedelta(days=3650)
AUTHORITY_SPARE = timedelta(days=400)
"""It is made anew when less is left, so that it outlives what it signs."""
LIFE = timedelta(days=397)
"""Apple's devices take no server certificate of more than 825 days, and public ones of 398."""
SPARE = timedelta(days=60)
BEFORE = timedelta(days=1)
"""For devices whose clocks are behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_authority(host: str, now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Antiphon on {host}"[:64])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    permitted: list[x509.GeneralName] = [x509.IPAddress(network) for network in PRIVATE]
    permitted += [x509.DNSName(name) for name in PRIVATE_NAMES]
    certificate = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def make_server(authority: Pair, names: Sequence[str], addresses: Iterable[Address], now: datetime) -> Pair:
    """For names of PRIVATE_NAMES and private addresses; the first name is shown."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(address) for address in addresses]
    issuer_key = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(_name(names[0][:64]), authority.certificate.subject, key, now, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def authority_fits(authority: Pair, now: datetime) -> bool:
    certificate = authority.certificate
    return (
        certificate.not_valid_before_utc <= now
        and now + AUTHORITY_SPARE <= certificate.not_valid_after_utc
        and _public(certificate) == _public(authority.key)
    )


def server_fits(
    server: Pair, authority: Pair, names: Iterable[str], addresses: Iterable[Address], now: datetime
) -> bool:
    """Whether a device that trusts the authority takes this certificate, under each of these names and addresses."""
    certificate = server.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return (
        certificate.not_valid_before_utc <= now
        and now + SPARE <= certificate.not_valid_after_utc
        and _public(certificate) == _public(server.key)
        and set(names) <= set(found.get_values_for_type(x509.DNSName))
        and set(addresses) <= set(found.get_values_for_type(x509.IPAddress))
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, as devices show it: AB:CD:…"""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now - BEFORE + life)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _public(of: x509.Certificate | ec.EllipticCurvePrivateKey) -> object:
    key = of.public_key()
    return key.public_numbers() if isinstance(key, ec.EllipticCurvePublicKey) else None
