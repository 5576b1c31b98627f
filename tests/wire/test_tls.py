"""HTTPS by the service itself: certificates, their renewal, what is not TLS."""

import contextlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.support.certificates import Authority, Key, Pair, elliptic_key, make_authority, make_pair, rsa_key
from tests.support.raw_http import read_all, request, statuses
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model
from tests.support.wordy import LONG_TOKEN, write_wordy_model

LIMITS = "[limits]\nheader_timeout_s = 0.8\nsend_timeout_s = 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """A server over TLS; `context` is a client's that trusts it."""

    server: RunningServer
    folder: Path
    authority: Authority
    context: ssl.SSLContext

    @property
    def url(self) -> str:
        return self.server.url.replace("http://", "https://")

    def get(self, path: str, context: ssl.SSLContext | None = None) -> httpx.Response:
        return httpx.get(self.url + path, verify=context or self.context, headers=self.server.headers)

    def connect(self, *, name: str | None = "localhost") -> ssl.SSLSocket:
        raw = socket.create_connection(self.server.address, timeout=10)
        if name is None:
            self.context.check_hostname = False
        return self.context.wrap_socket(raw, server_hostname=name)

    def serial(self, *, name: str | None = "localhost") -> int:
        """The serial number of the certificate that a new connection is shown."""
        with self.connect(name=name) as connection:
            found = connection.getpeercert(binary_form=True)
            assert found
            return x509.load_der_x509_certificate(found).serial_number


@contextlib.contextmanager
def secured_server(
    folder: Path, tiny_model: Path, *, key: Key | None = None, lines: str = ""
) -> Iterator[Secured]:
    authority = make_authority(folder)
    make_pair(authority, folder, "server", key=key)
    config = f'{LIMITS}[tls]\ncertificate = "server.pem"\nkey = "server.key"\n{lines}\n'
    context = ssl.create_default_context(cafile=authority.file)
    with running_server(folder, config + fake_model(tiny_model), is_ready=False) as server:
        secured = Secured(server=server, folder=folder, authority=authority, context=context)
        wait_ready(secured)
        yield secured


def wait_ready(secured: Secured) -> None:
    """Wait until it listens and its model is loaded, as its log tells: a client may lack a certificate."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        assert secured.server.process.poll() is None, secured.server.log.read_text()
        try:
            with socket.create_connection(secured.server.address, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(secured.server.log.read_text())


def wait_for_log(secured: Secured, event: str, *, count: int = 1) -> str:
    deadline_s = time.monotonic() + 5
    while (log := secured.server.log.read_text()).count(event) < count:
        assert time.monotonic() < deadline_s, log
        time.sleep(0.05)
    return log


@pytest.fixture(scope="module")
def secured(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_server(tmp_path_factory.mktemp("tls"), tiny_model) as secured:
        yield secured


def replace(secured: Secured, pair: Pair) -> None:
    shutil.copy(pair.certificate, secured.folder / "server.pem")
    shutil.copy(pair.key, secured.folder / "server.key")


def test_answers_come_over_tls_and_ask_browsers_to_stay_with_it(secured: Secured) -> None:
    answer = secured.get("/health")
    assert answer.status_code in (200, 503)
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert answer.headers["x-frame-options"] == "DENY"


def test_a_refusal_from_below_the_application_comes_over_tls_too(secured: Secured) -> None:
    with secured.connect() as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        received = read_all(connection)
    assert statuses(received) == [400]
    assert b"strict-transport-security: " in received


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_that_are_safe_are_spoken(secured: Secured, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=secured.authority.file)
    context.minimum_version = context.maximum_version = version
    assert secured.get("/health", context).status_code in (200, 503)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_version_is_refused(secured: Secured) -> None:
    context = ssl.create_default_context(cafile=secured.authority.file)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        secured.get("/health", context)


def test_plain_http_on_the_port_of_tls_is_closed_at_once(secured: Secured) -> None:
    with socket.create_connection(secured.server.address, timeout=5) as connection:
        connection.sendall(request(secured.server))
        began_s = time.monotonic()
        assert statuses(read_all(connection)) == []
        assert time.monotonic() - began_s < 0.5
    assert secured.get("/health").status_code in (200, 503)


@pytest.mark.parametrize("content", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half a hello"])
def test_a_handshake_that_does_not_end_is_cut_off(secured: Secured, content: bytes) -> None:
    with socket.create_connection(secured.server.address, timeout=10) as connection:
        connection.sendall(content)
        began_s = time.monotonic()
        assert read_all(connection) == b""
        assert 0.5 < time.monotonic() - began_s < 3.0


def test_slow_headers_over_tls_are_408(secured: Secured) -> None:
    with secured.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        assert statuses(read_all(connection)) == [408]


def test_a_reader_that_takes_nothing_over_tls_is_cut_off(tiny_model: Path, tmp_path: Path) -> None:
    with secured_server(tmp_path, write_wordy_model(tiny_model, tmp_path)) as secured:
        deadline_s = time.monotonic() + 20
        while secured.get("/ready").status_code != 200:
            assert time.monotonic() < deadline_s
        with secured.connect() as reader:
            wanted = {"inputs": LONG_TOKEN, "parameters": {"max_new_tokens": 500}}
            reader.sendall(request(secured.server, path="/generate_stream", **wanted))
            assert reader.recv(12) == b"HTTP/1.1 200"
            wait_for_log(secured, "slow_reader")


@pytest.mark.parametrize(
    ("first", "second"), [(elliptic_key, elliptic_key), (rsa_key, elliptic_key), (elliptic_key, rsa_key)]
)
def test_a_new_certificate_is_served_after_sighup_and_open_connections_live_on(
    tiny_model: Path, tmp_path: Path, first: Callable[[], Key], second: Callable[[], Key]
) -> None:
    with secured_server(tmp_path, tiny_model, key=first()) as secured:
        before = secured.serial()
        with secured.connect() as old:
            pair = make_pair(secured.authority, tmp_path, "next", key=second())
            replace(secured, pair)
            assert secured.serial() == before
            secured.server.process.send_signal(signal.SIGHUP)
            wait_for_log(secured, "certificate_reloaded")
            # A client that names no host sees it, too.
            assert secured.serial() == secured.serial(name=None) == pair.serial != before
            old.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert statuses(read_all(old))[0] in (200, 503)


def test_a_broken_pair_leaves_the_old_one_in_service(tiny_model: Path, tmp_path: Path) -> None:
    with secured_server(tmp_path, tiny_model) as secured:
        before = secured.serial()
        other = make_pair(secured.authority, tmp_path, "other")
        # The certificate of one and the key of another; then no certificate at all.
        shutil.copy(other.certificate, tmp_path / "server.pem")
        secured.server.process.send_signal(signal.SIGHUP)
        wait_for_log(secured, "certificate_not_reloaded")
        assert secured.serial() == before
        (tmp_path / "server.pem").unlink()
        secured.server.process.send_signal(signal.SIGHUP)
        wait_for_log(secured, "certificate_not_reloaded", count=2)
        assert secured.serial() == before
        replace(secured, other)
        secured.server.process.send_signal(signal.SIGHUP)
        wait_for_log(secured, "certificate_reloaded")
        assert secured.serial() == other.serial


def test_only_clients_with_a_certificate_of_the_authority_get_in(tiny_model: Path, tmp_path: Path) -> None:
    clients = make_authority(tmp_path, "clients")
    with secured_server(tmp_path, tiny_model, lines='client_ca = "clients.pem"') as secured:
        for signer, is_let_in in ((None, False), (secured.authority, False), (clients, True)):
            context = ssl.create_default_context(cafile=secured.authority.file)
            if signer is not None:
                pair = make_pair(signer, tmp_path, "client")
                context.load_cert_chain(pair.certificate, pair.key)
            if is_let_in:
                assert secured.get("/health", context).status_code in (200, 503)
            else:
                with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
                    secured.get("/health", context)


def command(folder: Path, tiny_model: Path, name: str, tls: str) -> subprocess.CompletedProcess[str]:
    file = folder / "tiber-serve.toml"
    file.write_text(f"port = 0\n[tls]\n{tls}\n{fake_model(tiny_model)}")
    arguments = [sys.executable, "-m", "service.cli", name, "--config", str(file)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("name", ["serve", "check-config"])
@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ('certificate = "none.pem"\nkey = "server.key"', ("none.pem", "No such file")),
        ('certificate = "server.pem"\nkey = "other.key"', ("server.pem", "other.key", "belong together")),
        ('certificate = "server.key"\nkey = "server.key"', ("server.key", "PEM")),
        ('certificate = "locked.pem"\nkey = "locked.key"', ("locked.key", "tls.key_password")),
        ('certificate = "locked.pem"\nkey = "locked.key"\nkey_password = "no"', ("tls.key_password",)),
        ('certificate = "server.pem"\nkey = "server.key"\nclient_ca = "none.pem"', ("client_ca", "none.pem")),
        (
            'certificate = "server.pem"\nkey = "server.key"\nclient_ca = "server.key"',
            ("client_ca", "server.key"),
        ),
        ('certificate = "server.pem"', ("together",)),
    ],
)
def test_wrong_files_are_one_clear_line_at_the_start(
    tiny_model: Path, tmp_path: Path, name: str, tls: str, words: tuple[str, ...]
) -> None:
    authority = make_authority(tmp_path)
    make_pair(authority, tmp_path, "server")
    make_pair(authority, tmp_path, "other")
    make_pair(authority, tmp_path, "locked", password=b"a-secret")
    done = command(tmp_path, tiny_model, name, tls)
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr
    assert "a-secret" not in done.stderr


def test_a_locked_key_opens_with_its_password(tiny_model: Path, tmp_path: Path) -> None:
    make_pair(make_authority(tmp_path), tmp_path, "locked", password=b"a-secret")
    tls = 'certificate = "locked.pem"\nkey = "locked.key"\nkey_password = "a-secret"'
    done = command(tmp_path, tiny_model, "check-config", tls)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_key_that_everybody_may_read_is_warned_of(tiny_model: Path, tmp_path: Path) -> None:
    pair = make_pair(make_authority(tmp_path), tmp_path, "server")
    pair.key.chmod(0o644)
    done = command(tmp_path, tiny_model, "check-config", 'certificate = "server.pem"\nkey = "server.key"')
    assert done.returncode == 0
    assert "tls_key_is_readable_by_all" in done.stdout + done.stderr
    assert "chmod 600" in done.stdout + done.stderr


def test_what_is_printed_at_the_start_says_https(tiny_model: Path, tmp_path: Path) -> None:
    make_pair(make_authority(tmp_path), tmp_path, "server")
    file = tmp_path / "tiber-serve.toml"
    tls = '[tls]\ncertificate = "server.pem"\nkey = "server.key"\n'
    file.write_text(f"port = 0\n{tls}{fake_model(tiny_model)}")
    arguments = [sys.executable, "-m", "service.cli", "serve", "--config", str(file)]
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
    assert "https://127.0.0.1:" in lines[0]
    assert "try: curl https://127.0.0.1:" in lines[3]
    assert "http://" not in "".join(lines)
