"""Settings come from the command line, the environment and a file; what is wrong takes one clear line."""

from pathlib import Path
from typing import Any

import pydantic
import pytest

from service.errors import ConfigError
from service.settings import ModelSettings, Settings, load_settings, with_options


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "some.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(file: Path | None = None, **overrides: Any) -> str:
    with pytest.raises(ConfigError) as error:
        load_settings(file, overrides)
    assert "\n" not in error.value.message
    return error.value.message


def test_nothing_given_gives_the_documented_defaults() -> None:
    settings = load_settings(None, {})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.auth.max_failures, settings.auth.ban_s, settings.auth.reset_s) == (5, 300, 1800)
    assert settings.max_body_bytes == 16 * 1024 * 1024
    assert settings.models == ()


def test_a_models_defaults_are_the_documented_ones(empty_folder: Path) -> None:
    (model,) = load_settings(write(empty_folder, '[[models]]\npath = "m"'), {}).models
    assert (model.max_concurrent_requests, model.request_timeout_s) == (100, 30)
    assert (model.default_max_new_tokens, model.backend, model.device) == (100, "openvino", None)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(empty_folder, 'host = "1.1.1.1"\nport = 1\nlog_level = "debug"\ndrain_timeout_s = 1')
    monkeypatch.setenv("TIBER_HOST", "2.2.2.2")
    monkeypatch.setenv("TIBER_PORT", "2")
    settings = load_settings(file, {"host": "3.3.3.3"})
    assert (settings.host, settings.port, settings.log_level) == ("3.3.3.3", 2, "debug")
    assert settings.drain_timeout_s == 1


def test_a_section_is_merged_setting_by_setting(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(empty_folder, "[auth]\nban_s = 7\nreset_s = 8\nmax_failures = 9")
    monkeypatch.setenv("TIBER_AUTH__RESET_S", "80")
    auth = load_settings(file, {"auth": {"tokens_file": "/t.json"}}).auth
    assert (auth.ban_s, auth.reset_s, auth.max_failures, auth.tokens_file) == (7, 80, 9, Path("/t.json"))


def test_a_list_comes_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIBER_AUTH__TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    monkeypatch.setenv("TIBER_MODELS", '[{"path": "/m", "device": "GPU"}]')
    settings = load_settings(None, {})
    assert settings.auth.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.models[0].device == "GPU"


def test_the_file_in_the_current_folder_is_read_unless_another_is_named(empty_folder: Path) -> None:
    (empty_folder / "tiber-serve.toml").write_text("port = 1")
    assert load_settings(None, {}).port == 1
    assert load_settings(write(empty_folder, "port = 2"), {}).port == 2


def test_paths_in_a_file_are_taken_from_its_own_folder(empty_folder: Path) -> None:
    (empty_folder / "etc").mkdir()
    text = '[auth]\ntokens_file = "t.json"\n[[models]]\npath = "../m"\n[[models]]\npath = "/abs"'
    settings = load_settings(write(empty_folder / "etc", text), {})
    assert settings.auth.tokens_file == empty_folder / "etc" / "t.json"
    assert settings.models[0].path.resolve() == empty_folder / "m"
    assert settings.models[1].path == Path("/abs")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = 70000", ("`port`", "70000", "65535")),
        ('port = "high"', ("`port`", "'high'")),
        ("max_body_bytes = 0", ("`max_body_bytes`", "0", "greater than 0")),
        ("drain_timeout_s = -1", ("`drain_timeout_s`", "-1")),
        ('log_format = "xml"', ("`log_format`", "'xml'", "'json'", "'console'")),
        ('log_level = "loud"', ("`log_level`", "'loud'", "'warning'")),
        ("prot = 1", ("`prot`", "not a setting")),
        ("[auth]\nban = 1", ("`auth.ban`", "not a setting")),
        ("[auth]\nban_s = 0", ("`auth.ban_s`", "0")),
        ("[auth]\nmax_failures = 0", ("`auth.max_failures`", "0")),
        ('[auth]\ntrusted_proxies = ["here"]', ("`auth.trusted_proxies`", "here")),
        ("auth = 3", ("`auth`", "3")),
        ('[[models]]\nname = "m"', ("`models.0.path`", "must be given")),
        ('[[models]]\npath = "m"\nbackend = "magic"', ("`models.0.backend`", "'magic'", "'openvino'")),
        ('[[models]]\npath = "m"\ncache_gib = 0', ("`models.0.cache_gib`", "0")),
        ('[[models]]\npath = "m"\nrequest_timeout_s = 0', ("`models.0.request_timeout_s`", "0")),
        ('[[models]]\npath = "m"\nmax_concurent_requests = 1', ("`models.0.max_concurent_requests`",)),
        ('[[models]]\npath = "m"\n[models.properties]\nX = [1]', ("`models.0.properties.X`",)),
        ("[[models]]\npath = 5", ("`models.0.path`", "5")),
        ('models = "m"', ("`models`", "'m'")),
        ("models = 5", ("`models`", "5")),
        ("port = ", ("not valid TOML",)),
    ],
)
def test_one_line_names_the_file_the_key_the_value_and_what_is_allowed(
    empty_folder: Path, text: str, named: tuple[str, ...]
) -> None:
    file = write(empty_folder, text)
    message = refusal(file)
    for part in (str(file), *named):
        assert part in message


def test_a_file_that_is_not_there_is_named(empty_folder: Path) -> None:
    assert "nowhere.toml: can't be read" in refusal(empty_folder / "nowhere.toml")
    assert "can't be read" in refusal(empty_folder)


def test_a_file_that_is_not_utf_8_is_named(empty_folder: Path) -> None:
    file = empty_folder / "latin.toml"
    file.write_bytes(b'host = "caf\xe9"')
    assert str(file) in refusal(file)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("TIBER_PORT", "many", ("`port`", "'many'")),
        ("TIBER_AUTH__BAN_S", "-5", ("`auth.ban_s`", "-5")),
        ("TIBER_AUTH__TRUSTED_PROXIES", "[broken", ("TIBER_AUTH__TRUSTED_PROXIES",)),
        ("TIBER_MODELS", "/a/folder", ("models",)),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: tuple[str, ...]
) -> None:
    monkeypatch.setenv(name, value)
    message = refusal()
    for part in (*named, "environment"):
        assert part in message


def test_a_wrong_option_is_named() -> None:
    message = refusal(port=-1)
    assert "`port`" in message
    assert "-1" in message


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(pydantic.ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["host", "port", "models"])
def test_other_programs_variables_are_not_ours(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), "nonsense")
    assert load_settings(None, {}).model_dump() == Settings().model_dump()


@pytest.mark.parametrize(
    "text",
    [
        '[tls]\nkey_password = "hunter2"',
        '[auth]\nredis_url = ["redis://:hunter2@h"]',
        'auth = "redis://:hunter2@h"',
    ],
)
def test_no_secret_is_in_an_error(empty_folder: Path, text: str) -> None:
    assert "hunter2" not in refusal(write(empty_folder, text))


def test_files_of_the_guard_must_differ(empty_folder: Path) -> None:
    assert "different files" in refusal(
        write(empty_folder, '[auth]\ntokens_file = "a.json"\nbans_file = "a.json"')
    )


@pytest.mark.parametrize("name", ["ban_s", "reset_s"])
@pytest.mark.parametrize("value", ["inf", "1e17"])
def test_no_time_is_without_end(empty_folder: Path, name: str, value: str) -> None:
    assert f"auth.{name}" in refusal(write(empty_folder, f"[auth]\n{name} = {value}"))


def test_prompt_lookup_is_refused_where_it_would_be_wrong(empty_folder: Path) -> None:
    head = '[[models]]\npath = "m"\nprompt_lookup = 5\n'
    assert "prompt_lookup needs prefix_caching = false" in refusal(write(empty_folder, head))
    fake = f'{head}prefix_caching = false\nbackend = "fake"'
    assert "prompt_lookup is for the backend openvino" in refusal(write(empty_folder, fake))
    (model,) = load_settings(write(empty_folder, f"{head}prefix_caching = false"), {}).models
    assert model.prompt_lookup == 5


def test_options_of_the_command_line_are_checked_with_the_models_own(tmp_path: Path) -> None:
    model = ModelSettings(path=tmp_path, prompt_lookup=5, prefix_caching=False)
    assert with_options(model, {"device": "GPU"}).model_fields_set == model.model_fields_set | {"device"}
    with pytest.raises(ConfigError, match=r"command line.*: .*prompt_lookup can't go with reproducible"):
        with_options(model, {"reproducible": True})
    with pytest.raises(ConfigError, match="`cache_gib` = 0"):
        with_options(model, {"cache_gib": 0})
