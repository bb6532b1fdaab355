"""Which profile is used, and which part of it comes from where."""

from pathlib import Path

import pytest

from algo_core.errors import ConfigError, UsageError
from algo_core.settings.config import Config, read_toml
from algo_core.settings.profile import Profile, check_address
from algo_core.settings.profiles import ProfileResolver, check_ca_file

KEY, OTHER = "sim" + "a" * 25, "sim" + "b" * 25

CONFIG = f"""
profile = "work"
[profiles.work]
address = "https://api.work.example"
api_key = "{KEY}"
[profiles.second]
address = "https://api.second.example"
api_key = "{OTHER}"
"""


def resolver(tmp_path: Path, user: str = "", site: str = "", legacy: str = "", **environ: str) -> ProfileResolver:
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / "config.toml").write_text(user)
    (tmp_path / "site.toml").write_text(site)
    if legacy:
        (tmp_path / ".algorithmia").mkdir(exist_ok=True)
        (tmp_path / ".algorithmia" / "config").write_text(legacy)
    paths = {
        "HOME": str(tmp_path),
        "ALGO_CONFIG_DIR": str(tmp_path / "config"),
        "ALGO_SITE_CONFIG": str(tmp_path / "site.toml"),
    }
    return ProfileResolver(Config.load({**paths, **environ}))


def parts(profile: Profile) -> tuple[str, str | None]:
    return profile.address, profile.credential.secret.reveal() if profile.credential else None


def test_the_flag_beats_variable_and_file(tmp_path: Path) -> None:
    assert resolver(tmp_path, CONFIG).resolve().name == "work"
    assert resolver(tmp_path, CONFIG, ALGO_PROFILE="second").resolve().name == "second"
    assert resolver(tmp_path, CONFIG, ALGO_PROFILE="second").resolve("work").name == "work"


def test_ambient_key_and_address_beat_the_profile_but_not_an_explicit_flag(tmp_path: Path) -> None:
    ambient = {"ALGORITHMIA_API_KEY": "ambient", "ALGORITHMIA_API": "https://api.ambient.example"}
    assert parts(resolver(tmp_path, CONFIG, **ambient).resolve()) == ("https://api.ambient.example", "ambient")
    assert parts(resolver(tmp_path, CONFIG, **ambient).resolve("work")) == ("https://api.work.example", KEY)


def test_a_key_in_the_environment_is_enough(tmp_path: Path) -> None:
    assert parts(resolver(tmp_path, ALGORITHMIA_API_KEY="k").resolve()) == ("https://api.algorithmia.com", "k")


def test_an_unknown_profile_is_an_error_that_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolver(tmp_path, CONFIG, ALGORITHMIA_API_KEY="k").resolve("nope")
    assert "nope" in caught.value.message
    assert "algo auth --profile nope" in (caught.value.hint or "")
    assert "second, work" in (caught.value.hint or "")


def test_the_administrators_presets_lie_under_the_users(tmp_path: Path) -> None:
    site = '[profiles.default]\naddress = "https://api.corp.example"\nca_cert = "/corp/ca.pem"\n'
    found = resolver(tmp_path, f'[profiles.default]\napi_key = "{KEY}"\n', site).resolve()
    assert parts(found) == ("https://api.corp.example", KEY)
    assert found.ca_cert == "/corp/ca.pem"


def test_enforced_values_win_over_everything(tmp_path: Path) -> None:
    site = '[enforce]\naddress = "https://api.corp.example"\ntimeout = 5\n'
    found = resolver(tmp_path, CONFIG, site, ALGORITHMIA_API="https://api.evil.example")
    assert found.resolve("work").address == "https://api.corp.example"
    value = found.config.get("timeout")
    assert (value.value, value.enforced) == (5.0, True)
    with pytest.raises(UsageError):
        found.config.get("timeout", flag=9.0)


LEGACY = f"""
[profiles.default]
api_key = ""
api_server = ""
ca_cert = ""
bearer_token = ""
[profiles.old]
api_key = "{KEY}"
api_server = "https://api.old.example"
git_server = "https://git.old.example"
[profiles.bare]
api_key = "{OTHER}"
api_server = ""
"""


def test_profiles_of_the_older_command_line_are_read_when_ours_has_none(tmp_path: Path) -> None:
    found = resolver(tmp_path, CONFIG, legacy=LEGACY)
    assert parts(found.resolve("old")) == ("https://api.old.example", KEY)
    assert parts(found.resolve("bare")) == ("https://api.algorithmia.com", OTHER)
    assert found.names() == ["bare", "old", "second", "work"]


def test_the_empty_profile_that_the_older_command_line_leaves_behind_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        resolver(tmp_path, legacy=LEGACY).resolve()


def test_a_plain_file_in_the_place_of_the_older_directory_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".algorithmia").write_text("api_key")
    assert parts(resolver(tmp_path, CONFIG).resolve())[1] == KEY


def test_without_home_nothing_breaks(tmp_path: Path) -> None:
    config = Config.load({"ALGO_CONFIG_DIR": str(tmp_path), "ALGO_SITE_CONFIG": "/none", "ALGORITHMIA_API_KEY": "k"})
    assert parts(ProfileResolver(config).resolve())[1] == "k"


def test_a_stand_in_is_asked_only_when_nothing_is_configured(tmp_path: Path) -> None:
    asked: list[str] = []

    def stand_in(name: str) -> Profile:
        asked.append(name)
        return Profile(name, "local:")

    config = resolver(tmp_path, CONFIG).config
    assert ProfileResolver(config, stand_in).resolve("work").address != "local:"
    assert ProfileResolver(config, stand_in).resolve("third").address == "local:"
    assert asked == ["third"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://api.algorithmia.com", "https://api.algorithmia.com"),
        ("https://api.corp.example/", "https://api.corp.example"),
        ("https://api.corp.example/v1/", "https://api.corp.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("local:", "local:"),
        ("local://", "local:"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert check_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "api.algorithmia.com", "https://", "ftp://x.example", "https://u:p@x.example", "https://x?y=1", "http://corp.example",
     "https://x example", "https://x:notaport", "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_address(text)
    assert caught.value.hint


def test_plain_http_beyond_this_machine_can_be_allowed(tmp_path: Path) -> None:
    user = '[profiles.default]\naddress = "http://corp.example"\napi_key = "k"\n'
    with pytest.raises(ConfigError):
        resolver(tmp_path, user).resolve()
    assert resolver(tmp_path, user, ALGO_INSECURE_HTTP="1").resolve().address == "http://corp.example"


def test_a_ca_file_that_is_missing_or_empty_names_its_origin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"from profile x"):
        check_ca_file(str(tmp_path / "none.pem"), "profile x")
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ConfigError, match="No certificate"):
        check_ca_file(str(tmp_path / "empty.pem"), "profile x")


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("a = [")
    with pytest.raises(ConfigError, match=r"x\.toml"):
        read_toml(str(tmp_path / "x.toml"))


@pytest.mark.parametrize(
    "user", ['profiles = 3', '[profiles]\ndefault = 3', '[profiles.default]\naddress = 3', '[profiles.default]\ntimeout = "x"',
             '[profiles.default]\ncredential_command = "x"']
)  # fmt: skip
def test_values_of_the_wrong_kind_are_configuration_errors(user: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        resolver(tmp_path, user).resolve()


def test_a_key_of_the_environment_goes_to_the_companys_preset_and_never_to_the_embedded_platform(
    tmp_path: Path,
) -> None:
    config = resolver(tmp_path, ALGORITHMIA_API_KEY="k").config
    preset = ProfileResolver(config, lambda name: Profile(name, "https://api.corp.example", ca_cert="/corp.pem"))
    assert parts(preset.resolve()) == ("https://api.corp.example", "k")
    assert preset.resolve().ca_cert == "/corp.pem"
    embedded = ProfileResolver(config, lambda name: Profile(name, "local:"))
    assert parts(embedded.resolve()) == ("https://api.algorithmia.com", "k")
    both = resolver(tmp_path, ALGORITHMIA_API_KEY="k", ALGORITHMIA_API="https://api.ambient.example").config
    assert parts(ProfileResolver(both, preset.stand_in).resolve()) == ("https://api.ambient.example", "k")


@pytest.mark.parametrize(
    ("address", "user", "wanted"),
    [
        ("http://api.acme.example", "", None),
        ("HTTP://api.acme.example", "", None),
        ("https://", "", None),
        ("https://me:pw@api.acme.example", "", None),
        ("http://api.acme.example", "insecure_http = true", "http://api.acme.example"),
        ("http://127.0.0.1:8080", "", "http://127.0.0.1:8080"),
        ("https://api.acme.example/v1/", "", "https://api.acme.example"),
        ("acme:", "", "acme:"),
        ("acme-2:", "", "acme-2:"),
    ],
)
def test_the_address_of_a_stand_in_is_checked_like_any_other(
    tmp_path: Path, address: str, user: str, wanted: str | None
) -> None:
    found = resolver(tmp_path, user)
    found.stand_in = lambda name: Profile(name, address, origin="acme-bundle")
    if wanted:
        assert found.resolve().address == wanted
        return
    with pytest.raises(ConfigError, match=r"\(from acme-bundle\)"):
        found.resolve()
