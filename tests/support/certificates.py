"""Certificates made for a test."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What signs certificates; `file` is what a peer trusts it by."""

    certificate: x509.Certificate
    key: Key
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path
    serial: int


def elliptic_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key() -> Key:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_authority(folder: Path, name: str = "authority") -> Authority:
    key = elliptic_key()
    certificate = _build(name, key, issuer=name, signer=key, is_authority=True)
    file = folder / f"{name}.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(certificate=certificate, key=key, file=file)


def make_pair(
    authority: Authority, folder: Path, name: str, *, key: Key | None = None, password: bytes | None = None
) -> Pair:
    """A certificate for localhost and 127.0.0.1, or for a client."""
    key = key or elliptic_key()
    issuer = authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    certificate = _build(name, key, issuer=str(issuer), signer=authority.key, is_authority=False)
    pair = Pair(
        certificate=folder / f"{name}.pem", key=folder / f"{name}.key", serial=certificate.serial_number
    )
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    )
    return pair


def _build(name: str, key: Key, *, issuer: str, signer: Key, is_authority: bool) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())
