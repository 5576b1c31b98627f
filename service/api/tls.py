"""Certificates: read at the start, and again when the operator says so."""

import ssl
import stat
from pathlib import Path

import structlog

from service.errors import ConfigError
from service.settings import TLSSettings

_log = structlog.get_logger("server")


class Certificates:
    """The certificate in use; `context` is the one to listen with, for as long as the service runs."""

    def __init__(self, settings: TLSSettings) -> None:
        """Read the files. Raises: ConfigError."""
        self._settings = settings
        self._current = self.context = _read(settings)
        # A context can't forget a certificate: one of another kind of key would be served beside the old one.
        # So each connection is given the newest context, whatever name it asks for, or none.
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Read the files again, for new connections. Raises: ConfigError; then nothing has changed."""
        self._current = _read(self._settings)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def read_certificates(settings: TLSSettings) -> Certificates | None:
    """The certificates, or None for plain HTTP. Raises: ConfigError."""
    if settings.certificate is None:
        return None
    _warn_of_open_key(settings.key)
    return Certificates(settings)


def _read(settings: TLSSettings) -> ssl.SSLContext:
    assert settings.certificate is not None  # noqa: S101 - the settings were asked
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    password = settings.key_password.get_secret_value() if settings.key_password else ""
    try:
        # Without a password, OpenSSL would ask for it at the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=password)
    except OSError as error:
        raise _wrong_pair(settings, error) from error
    if settings.client_ca is not None:
        _require_clients(context, settings.client_ca)
    return context


def _wrong_pair(settings: TLSSettings, error: OSError) -> ConfigError:
    for path in (settings.certificate, settings.key):
        if path is not None and (fault := _read_fault(path)):
            return ConfigError(f"tls: {path} can't be read: {fault}")
    files = f"tls.certificate ({settings.certificate}) and tls.key ({settings.key})"
    reason = getattr(error, "reason", None) or error.strerror
    return ConfigError(
        f"{files} must be PEM files that belong together, and tls.key_password the key's, if it has one: "
        f"{reason or 'they are not'}"
    )


def _require_clients(context: ssl.SSLContext, authorities: Path) -> None:
    if fault := _read_fault(authorities):
        raise ConfigError(f"tls.client_ca: {authorities} can't be read: {fault}")
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        raise ConfigError(f"tls.client_ca: {authorities} holds no PEM certificate") from error
    context.verify_mode = ssl.CERT_REQUIRED
    # A session that is resumed shows no certificate, and its authority may be gone since. Only TLS 1.3 can be
    # kept from it.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0


def _read_fault(path: Path) -> str | None:
    try:
        with path.open("rb"):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def _warn_of_open_key(key: Path | None) -> None:
    if key is not None and key.exists() and key.stat().st_mode & stat.S_IROTH:
        _log.warning("tls_key_is_readable_by_all", key=str(key), mend=f"chmod 600 {key}")
