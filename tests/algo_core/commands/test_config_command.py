"""`algo config` and `algo profile`, run as a person would."""

import stat
import subprocess
from pathlib import Path

from algo_core.errors import ExitCode
from algo_core.testing import Home

KEY = "sim" + "s" * 25


def test_set_get_unset_keep_comments_and_order(algo_home: Home) -> None:
    algo_home.write_config('# mine\n[profiles.x]  # keep me\naddress = "https://a.example"\n')
    assert algo_home.run("config", "set", "timeout", "12").code == ExitCode.OK
    assert algo_home.run("config", "set", "plugins.disabled", "a,b").code == ExitCode.OK
    text = algo_home.config_file.read_text()
    assert "# mine" in text
    assert "# keep me" in text
    assert algo_home.run("config", "get", "timeout").text == "12\n"
    assert algo_home.run("config", "get", "plugins.disabled", "--json").json == ["a", "b"]
    assert algo_home.run("config", "unset", "timeout").code == ExitCode.OK
    assert algo_home.run("config", "get", "timeout").text == "60\n"


def test_files_are_for_the_owner_only(algo_home: Home) -> None:
    algo_home.environ.pop("ALGO_CONFIG_DIR")
    algo_home.environ["XDG_CONFIG_HOME"] = str(algo_home.root / "xdg")
    assert algo_home.run("config", "set", "timeout", "12").code == ExitCode.OK
    file = Path(algo_home.run("config", "path").text.strip())
    assert file == algo_home.root / "xdg" / "algo" / "config.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    assert algo_home.run("config", "set", "timeout", "13").code == ExitCode.OK
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_origins(algo_home: Home) -> None:
    algo_home.write_config(
        f'timeout = 7\n[profiles.default]\naddress = "https://a.example"\napi_key = "{KEY}"\nretries = 1\n'
    )
    (algo_home.root / "site.toml").write_text("[enforce]\nconnect_timeout = 3\n")
    result = algo_home.run("config", "list", "--json", environ={"ALGO_INSECURE_HTTP": "yes"})
    origins = {row["key"]: (row["value"], row["origin"]) for row in result.json}
    assert origins["timeout"] == (7.0, str(algo_home.config_file))
    mine = f"profile default in {algo_home.config_file}"
    assert origins["retries"] == (1, mine)
    assert origins["connect_timeout"] == (3.0, f"enforced by {algo_home.root / 'site.toml'}")
    assert origins["insecure_http"] == (True, "environment variable ALGO_INSECURE_HTTP")
    assert origins["address"] == ("https://a.example", mine)
    assert origins["api_key"][1] == f"{mine} (api_key)"
    assert KEY not in result.text
    shown = algo_home.run("config", "list", "--origin").text
    assert "enforced by" in shown
    assert KEY not in shown


def test_enforced_values_cannot_be_set(algo_home: Home) -> None:
    (algo_home.root / "site.toml").write_text("[enforce]\ntimeout = 3\n")
    result = algo_home.run("config", "set", "timeout", "5")
    assert result.code == ExitCode.CONFIGURATION
    assert "enforced by" in result.stderr


def test_bad_input_is_explained(algo_home: Home) -> None:
    for arguments, code, said in (
        (("config", "set", "timeout", "soon"), ExitCode.CONFIGURATION, "a number of seconds"),
        (("config", "set", "nope", "1"), ExitCode.USAGE, "No such setting"),
        (("config", "set", "connectors.s3.endpoint_url", "x"), ExitCode.USAGE, "go into the file: algo config edit"),
        (("config", "get", "nope"), ExitCode.USAGE, "Settings: profile"),
        (("profile", "use", "nope"), ExitCode.CONFIGURATION, "algo auth --profile nope"),
        (("profile", "remove", "nope"), ExitCode.NOT_FOUND, "algo profile list"),
        (("profile", "show", "nope"), ExitCode.CONFIGURATION, "algo auth --profile nope"),
    ):
        result = algo_home.run(*arguments)
        assert (result.code, said in result.stderr) == (code, True), (arguments, result)
        assert "Traceback" not in result.stderr
    assert not algo_home.config_file.exists()


def test_a_broken_file_stops_nobody_from_reading_help(algo_home: Home) -> None:
    algo_home.write_config("profiles = [")
    assert algo_home.run("--help").code == ExitCode.OK
    assert algo_home.run("config", "path").text == f"{algo_home.config_file}\n"
    result = algo_home.run("config", "set", "timeout", "5")
    assert result.code == ExitCode.CONFIGURATION
    assert str(algo_home.config_file) in result.stderr
    assert algo_home.config_file.read_text() == "profiles = ["


def test_profiles_are_listed_shown_used_and_removed(algo_home: Home) -> None:
    algo_home.write_config(
        f'# top\n[profiles.a]\naddress = "https://a.example"\napi_key = "{KEY}"\n[profiles.b]\naddress = "https://b.example"\n'
    )
    assert algo_home.run("profile", "use", "a").code == ExitCode.OK
    listed = {row["name"]: row["in_use"] for row in algo_home.run("profile", "list", "--json").json}
    assert listed == {"a": True, "b": False, "default": False}
    shown = algo_home.run("profile", "show").text
    assert "https://a.example" in shown
    assert KEY not in shown
    assert algo_home.run("profile", "remove", "b").code == ExitCode.OK
    assert "# top" in algo_home.config_file.read_text()
    assert [row["name"] for row in algo_home.run("profile", "list", "--json").json] == ["a", "default"]


def test_the_default_profile_of_a_plugin_is_listed_and_can_be_used_again(algo_home: Home) -> None:
    assert [row["in_use"] for row in algo_home.run("profile", "list", "--json").json] == [True]
    assert "There are no profiles yet" in algo_home.run("profile", "list").stderr
    algo_home.write_config('[profiles.work]\naddress = "https://work.example"\n')
    assert algo_home.run("profile", "use", "work").code == ExitCode.OK
    assert algo_home.run("profile", "show", "--json").json["address"] == "https://work.example"
    assert algo_home.run("profile", "use", "default").code == ExitCode.OK
    assert algo_home.run("profile", "show", "--json").json["address"] == "local:"
    listed = {row["name"]: row for row in algo_home.run("profile", "list", "--json").json}
    assert listed["default"] == {
        "name": "default",
        "in_use": True,
        "address": "local:",
        "origin": "the embedded platform",
    }
    wrong = algo_home.run("profile", "use", "wrok")
    assert wrong.code == ExitCode.CONFIGURATION
    assert "Did you mean: algo profile use work?" in wrong.stderr


def test_import_copies_and_never_changes_the_older_file(algo_home: Home) -> None:
    legacy = algo_home.root / ".algorithmia" / "config"
    legacy.parent.mkdir()
    legacy.write_text(f'[profiles.old]\napi_key = "{KEY}"\napi_server = "https://api.old.example"\nca_cert = ""\n')
    before = (legacy.read_bytes(), legacy.stat().st_mtime_ns)
    assert "https://api.old.example" in algo_home.run("profile", "show", "old").text
    assert algo_home.run("profile", "import").text == "Imported old\n"
    assert (legacy.read_bytes(), legacy.stat().st_mtime_ns) == before
    assert f'api_key = "{KEY}"' in algo_home.config_file.read_text()
    again = algo_home.run("profile", "import", "old")
    assert again.code == ExitCode.FAILURE
    assert "--force" in again.stderr
    assert algo_home.run("profile", "import", "old", "--force").code == ExitCode.OK
    assert algo_home.run("profile", "import", "nope").code == ExitCode.NOT_FOUND


def test_many_processes_edit_at_once_and_nothing_is_lost(algo_home: Home) -> None:
    algo_home.write_config("".join(f'[profiles.p{i}]\naddress = "https://p{i}.example"\n' for i in range(12)))
    running = [
        subprocess.Popen(
            algo_home.command("profile", "remove", f"p{i}"), env=algo_home.environ, stdout=subprocess.DEVNULL
        )
        for i in range(10)
    ]
    assert [process.wait(60) for process in running] == [0] * 10
    assert [row["name"] for row in algo_home.run("profile", "list", "--json").json] == ["p10", "p11", "default"]


PROFILES = '[profiles.default]\naddress = "http://localhost:9"\n[profiles.work]\naddress = "http://localhost:9"\n'


def test_removing_the_profile_in_use_leaves_no_dangling_choice(algo_home: Home) -> None:
    algo_home.write_config('profile = "work"\n' + PROFILES)
    result = algo_home.run("profile", "remove", "work")
    assert (result.code, result.text) == (ExitCode.OK, "Removed work\n")
    assert "Profile default is now in use" in result.stderr
    assert algo_home.run("profile", "show", "--json").json["name"] == "default"
    assert "work" not in algo_home.config_file.read_text()


def test_removing_a_profile_that_something_else_chooses_names_that(algo_home: Home) -> None:
    algo_home.write_config(PROFILES)
    result = algo_home.run("profile", "remove", "work", environ={"ALGO_PROFILE": "work"})
    assert result.code == ExitCode.OK
    assert "environment variable ALGO_PROFILE still names the profile work: `unset ALGO_PROFILE`" in result.stderr
    algo_home.write_config(PROFILES)
    algo_home.write_site_config('profile = "work"\n')
    result = algo_home.run("profile", "remove", "work")
    assert f"{algo_home.site_file} still names the profile work" in result.stderr


def test_a_profile_that_cannot_be_removed_says_where_it_is(algo_home: Home) -> None:
    (algo_home.root / ".algorithmia").mkdir()
    legacy = algo_home.root / ".algorithmia" / "config"
    legacy.write_text(f'[profiles.old]\napi_key = "{KEY}"\n')
    algo_home.write_site_config('[profiles.corp]\naddress = "https://corp.example"\n')
    algo_home.write_config(PROFILES)
    for name, file in (("old", legacy), ("corp", algo_home.site_file)):
        result = algo_home.run("profile", "remove", name)
        assert result.code == ExitCode.NOT_FOUND
        assert f"but in {file}, which is left as it is" in result.stderr
    assert "`algo profile remove work`" in algo_home.run("profile", "remove", "wrk").stderr
    assert "algo profile list" in algo_home.run("profile", "remove", "nothing").stderr
