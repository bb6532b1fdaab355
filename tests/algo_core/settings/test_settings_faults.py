"""What a configuration file holds and may not is an error that names file, line and the name that was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from algo_core.errors import ConfigError, ExitCode
from algo_core.settings.config import PROFILE_MEMBERS, SETTINGS, Config
from algo_core.settings.repair import check, faults_of
from algo_core.settings.schema import SITE, USER, Table
from algo_core.testing import Home

KEY = "sim" + "k" * 25


def config(tmp_path: Path, user: str = "", site: str = "", **environ: str) -> Config:
    (tmp_path / "config.toml").write_text(user, "utf-8")
    (tmp_path / "site.toml").write_text(site, "utf-8")
    paths = {"ALGO_CONFIG_DIR": str(tmp_path), "ALGO_SITE_CONFIG": str(tmp_path / "site.toml"), "HOME": str(tmp_path)}
    return Config.load({**paths, **environ})


def refusal(found: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        check(found)
    return caught.value.message


# What stands in a file, the line of the fault, and what is said of it.
ANYWHERE = [
    ("timeot = 3", 1, "there is no setting 'timeot': did you mean 'timeout'?"),
    ("# a\n\nRetries = 3", 3, "there is no setting 'Retries': did you mean 'retries'?"),
    ("colour = true", 1, "there is no setting 'colour'"),
    ('timeout = "soon"', 1, "timeout must be a number of seconds, not 'soon'"),
    ("timeout = true", 1, "timeout must be a number of seconds, not True"),
    ("timeout = 0", 1, "above 0"),
    ("timeout = -1.5", 1, "above 0"),
    ("timeout = nan", 1, "above 0"),
    ("timeout = inf", 1, "above 0"),
    ("connect_timeout = 1e300", 1, "above 0"),
    ("retries = -1", 1, "retries must be a whole number, 0 or more, not -1"),
    ("retries = 2.5", 1, "a whole number"),
    ('insecure_http = "yes"', 1, "insecure_http must be true or false, not 'yes'"),
    ("profile = 3", 1, "profile must be a text"),
    ('profile = " "', 1, "a text that is not empty"),
    ('[profile.x]\naddress = "https://a.example"', 1, "did you mean 'profiles'?"),
    ('[profile]\naddress = "https://a.example"', 1, "did you mean 'profiles'?"),
    ("profiles = 3", 1, "profiles must be a table: write [profiles]"),
    ("[profiles]\nx = 3", 2, "profiles.x must be a table: write [profiles.x]"),
    ("[[profiles.x]]\ntimeout = 3", 1, "profiles.x must be a table"),
    ('[profiles.x]\napi_address = "https://a.example"', 2, "[profiles.x] has no member 'api_address': did you mean 'address'?"),
    ('[profiles.x]\napi_server = "https://a.example"', 2, "did you mean 'address'?"),
    ('[profiles.x]\nurl = "https://a.example"', 2, "did you mean 'address'?"),
    ('[profiles.x]\naddres = "https://a.example"', 2, "did you mean 'address'?"),
    ('[profiles.x]\naddress = ""', 2, "profiles.x.address must be a text that is not empty"),
    ('[profiles."a b"]\n# one\napi_kye = "secret"', 3, "[profiles.\"a b\"] has no member 'api_kye': did you mean 'api_key'?"),
    ('[profiles.x]\ncacert = "/ca.pem"', 2, "did you mean 'ca_cert'?"),
    ("[profiles.x]\napi_key = 12345", 2, "profiles.x.api_key must be a text"),
    ('[profiles.x]\ncredential_command = "pass show x"', 2, 'a list of words such as ["program", "argument"]'),
    ("[profiles.x]\ncredential_command = []", 2, "a list of words"),
    ('profiles.x.adress = "https://a.example"', 1, "did you mean 'address'?"),
    ('profiles = {x = {adress = "https://a.example"}}', None, "did you mean 'address'?"),
    ("[plugin]\ndisabled = []", 1, "there is no table [plugin]: did you mean 'plugins'?"),
    ("[Plugins]\ndisabled = []", 1, "did you mean 'plugins'?"),
    ('[plugins]\ndisable = ["acme"]', 2, "[plugins] has no member 'disable': did you mean 'disabled'?"),
    ('[plugins]\ndisabled = "acme"', 2, 'a list of distributions such as ["acme-bundle"]'),
    ('[plugins]\ndisabled = ["acme<2"]', 2, "'acme<2' is not a distribution's name"),
    ("[plugins.commands]\nls = 3", 2, "plugins.commands.ls must be a distribution's name"),
    ('[plugins.comands]\nls = "acme"', 1, "there is no table [plugins.comands]: did you mean 'commands'?"),
    ("[conectors.s3]\ndirect = true", 1, "did you mean 'connectors'?"),
    ("[connectors]\ns3 = true", 2, "connectors.s3 must be a table"),
    ("[connectors.s3]\ndirct = true", 2, "[connectors.s3] has no member 'dirct': did you mean 'direct'?"),
    ('[connectors.s3]\ndirect = "yes"', 2, "connectors.s3.direct must be true or false"),
    ("[connectors.s3]\nprotocol = 3", 2, "connectors.s3.protocol must be a text"),
    ('text = """\ntimeot = 1\n"""\n', 1, "there is no setting 'text'"),
]  # fmt: skip

OF_A_PERSON = [
    ('[plugins]\nallow = ["*"]', 2, "plugins.allow belongs in the administrator's file"),
    ('[plugins]\ndeny = ["acme"]', 2, "plugins.deny belongs in the administrator's file"),
    ('[plugins]\nalow = ["acme"]', 2, "has no member 'alow'; 'allow' belongs in the administrator's file"),
    ('[plugins]\ndenny = ["acme"]', 2, "'deny' belongs in the administrator's file"),
    ("[enforce]\ntimeout = 3", 1, "[enforce] belongs in the administrator's file"),
    ('[plugins]\ninstalled = ["acme >="]', 2, "a list of requirements"),
    ('[plugins]\nisolated = "acme"', 2, "a list of requirements"),
]

OF_THE_ADMINISTRATOR = [
    ('[plugins]\nalow = ["acme"]', 2, "[plugins] has no member 'alow': did you mean 'allow'?"),
    ('[plugins]\nAllow = ["acme"]', 2, "did you mean 'allow'?"),
    ('[plugins]\ndenied = ["acme"]', 2, "did you mean 'deny'?"),
    ('[plugins]\nrequired = ["acme"]', 2, "did you mean 'require'?"),
    ('[plugins]\nblock = ["acme"]', 2, "[plugins] has no member 'block'"),
    ('[plugins]\ndeny = ["x<two"]', 2, "'<two' in 'x<two' is not a version specifier"),
    ('[plugins]\ndeny = ["x 2"]', 2, "is not a version specifier"),
    ("[plugins]\ndeny = [\"x>=1;python_version<'3'\"]", 2, "is not a version specifier"),
    ('[plugins]\nallow = ["acme", "x[extra]"]', 2, "does not begin with a distribution's name"),
    ('[plugins]\nallow = ["https://a.example/x.whl"]', 2, "does not begin with a distribution's name"),
    ('[plugins]\nrequire = [""]', 2, "does not begin with a distribution's name"),
    ('[plugins]\nrequire = "acme"', 2, "a list of distributions"),
    ("[plugins]\nrequire = [3]", 2, "a list of distributions"),
    ("[plugins]\nhelp = 3", 2, "plugins.help must be a text"),
    ('[plugins]\ninstalled = ["acme"]', 2, "plugins.installed belongs in a person's own file"),
    ("[enforce]\nretrys = 3", 2, "[enforce] has no member 'retrys': did you mean 'retries'?"),
    ("[enforce]\nretries = -3", 2, "enforce.retries must be a whole number"),
    ('[enforce]\nadress = "https://a.example"', 2, "did you mean 'address'?"),
    ('[enforce]\naddress = ""', 2, "enforce.address must be a text that is not empty"),
    ('[enforce]\napi_key = "x"', 2, "[enforce] has no member 'api_key'"),
    ("[enforced]\ntimeout = 3", 1, "there is no table [enforced]: did you mean 'enforce'?"),
    ("[Enforce]\ntimeout = 3", 1, "did you mean 'enforce'?"),
    ("[enforcement]\ntimeout = 3", 1, "did you mean 'enforce'?"),
    ("enforce = true", 1, "enforce must be a table"),
    ("[enforce.plugins]\ndisable = []", 2, "[enforce.plugins] has no member 'disable': did you mean 'disabled'?"),
    ("[enforce.connectors.s3]\ndirct = true", 2, "did you mean 'direct'?"),
]


@pytest.mark.parametrize(("text", "line", "said"), ANYWHERE + OF_A_PERSON)
def test_a_persons_file(tmp_path: Path, text: str, line: int | None, said: str) -> None:
    message = refusal(config(tmp_path, user=text))
    where = f"{tmp_path / 'config.toml'}, line {line}: " if line else str(tmp_path / "config.toml")
    assert message.startswith(where)
    assert said in message


@pytest.mark.parametrize(("text", "line", "said"), ANYWHERE + OF_THE_ADMINISTRATOR)
def test_the_administrators_file(tmp_path: Path, text: str, line: int | None, said: str) -> None:
    message = refusal(config(tmp_path, site=text))
    where = f"{tmp_path / 'site.toml'}, line {line}: " if line else str(tmp_path / "site.toml")
    assert message.startswith(where)
    assert said in message


@pytest.mark.parametrize("secret", ['api_key = "sim1"', "bearer_token = 1", "api_key = [1]", "api_key = 12345678"])
def test_no_secret_is_shown(tmp_path: Path, secret: str) -> None:
    found = config(tmp_path, user=f"[profiles.x]\n{secret}\napi_key2 = 'sim-secret'\n")
    assert "sim" not in refusal(found)
    assert "1" not in refusal(found).partition(": ")[2].replace("1 more", "")


def test_every_declared_member_is_accepted(tmp_path: Path) -> None:
    """All that the code reads is declared: settings, members of profiles, and lists of plugins."""
    values = {str: '"x"', float: "1.5", int: "1", bool: "true", list: '["x"]'}
    top = [f"{name} = {values[setting.kind]}" for name, setting in SETTINGS.items() if "." not in name]
    profile = [f"{name} = {values[kind]}" for name, kind in PROFILE_MEMBERS.items()]
    shared = "\n".join(
        [*top, "[profiles.x]", *profile, "[connectors.s3]", "direct = true", 'protocol = "s3"', "x = [1]"]
    )
    plugins = '\n[plugins]\ndisabled = ["x", "acme-*", "*"]\ncommands = {ls = "x"}\n'
    mine = 'installed = ["x>=1", "y @ file:///y.whl"]\nisolated = ["z"]\n'
    theirs = 'allow = ["*"]\ndeny = ["x<2,!=1.5"]\nrequire = ["y~=1.0", "z == 2.*"]\nhelp = "ask"\n'
    enforce = "[enforce]\n" + "\n".join([*top, 'address = "https://a.example"', 'ca_cert = "/x"'])
    own = "\n[acme]\nanything = 1\n[[acme-more]]\nx = 1\n"
    found = config(tmp_path, shared + plugins + mine + own, shared + plugins + theirs + enforce + own)
    assert faults_of(found) == ()


def test_a_table_of_a_plugin_is_left_to_it(tmp_path: Path) -> None:
    found = config(tmp_path, user="[acme]\ntimeot = 1\n", site="[acme]\nalow = 1\n")
    check(found)


def members(table: Table, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, expected in table.members.items():
        found.append((*path, name))
        if isinstance(expected, Table):
            found += members(expected, (*path, name))
            if isinstance(expected.others, Table):
                found += members(expected.others, (*path, name, "x"))
    return found


def misspelt(name: str) -> list[str]:
    middle = len(name) // 2
    return [
        name[:-1],
        name + name[-1],
        name[:middle] + name[middle + 1 :],
        name.upper(),
        name[0] + name[2] + name[1] + name[3:],
    ]


@pytest.mark.parametrize("kind", ["user", "site"])
def test_no_declared_name_can_be_misspelt_in_silence(tmp_path: Path, kind: str) -> None:
    """Whatever the schema declares: a letter less, one too many, two swapped, or in capitals is a fault."""
    table = USER if kind == "user" else SITE
    for path in members(table):
        for name in misspelt(path[-1]):
            value = "{x = 1}" if path[-1] in {"plugins", "profiles", "connectors", "enforce", "commands"} else "[[1]]"
            text = ".".join([*path[:-1], json.dumps(name)]) + f" = {value}\n"
            found = config(tmp_path, **{kind: text})
            assert any(fault.path[: len(path)] == (*path[:-1], name) for fault in faults_of(found)), text


def test_no_key_goes_to_the_public_address_for_a_member_that_means_nothing(algo_home: Home) -> None:
    for text in (
        f'[profiles.default]\napi_address = "http://127.0.0.1:9"\napi_key = "{KEY}"\n',
        f'[profiles.default]\naddress = ""\napi_key = "{KEY}"\n',
        f'[profiles.default]\napi_key = "{KEY}"\n[profile.default]\naddress = "http://127.0.0.1:9"\n',
    ):
        algo_home.write_config(text)
        for words in (["ls"], ["run", "demo/Hello", "-d", "x"], ["profile", "show"], ["--profile", "default", "ls"]):
            result = algo_home.run(*words, "-v")
            assert (result.code, result.text) == (ExitCode.CONFIGURATION, ""), words
            assert "api.algorithmia.com" not in result.stderr


@pytest.mark.parametrize("member", ["api_address", "address", "server_url"])
def test_nor_one_of_the_older_command_line(algo_home: Home, member: str) -> None:
    (algo_home.root / ".algorithmia").mkdir()
    file = algo_home.root / ".algorithmia" / "config"
    file.write_text(f'[profiles.default]\napi_key = "{KEY}"\n{member} = "http://127.0.0.1:9"\napi_server = ""\n')
    result = algo_home.run("ls", "-v")
    assert result.code == ExitCode.CONFIGURATION
    assert f"[profiles.default] has no member {member!r}: did you mean 'api_server'?" in result.stderr
    file.write_text(file.read_text().replace(member, "git_server").replace('""', '"http://127.0.0.1:9"'))
    assert algo_home.run("ls").code == ExitCode.NETWORK


WORKS = [
    ["--help"], ["--version"], ["help", "exit-codes"], ["completion", "bash"], ["config", "path"], ["config", "list"],
    ["config", "get", "timeout"], ["config", "set", "retries", "2"], ["profile", "list"], ["plugins", "list"],
    ["plugins", "disable", "algo-env"], ["plugins", "enable", "algo-env"],
]  # fmt: skip
NEEDS_ALL = [["ls"], ["run", "demo/Hello", "-d", "x"], ["languages"], ["profile", "show"], ["auth", "--api-key-stdin"]]
SOME = [["config", "list"], ["config", "set", "retries", "2"], ["plugins", "list"]]
"""Commands for further faults: all of them have met the first one."""


@pytest.mark.parametrize(
    ("text", "works", "needs_all"),
    [
        ("retrys = 3\n", WORKS, NEEDS_ALL),
        ('[plugins]\ndisable = ["acme"]\n', SOME, NEEDS_ALL[:1]),
        ("[profiles.x]\nadress = 'y'\n", SOME, NEEDS_ALL[:1]),
    ],
)
def test_what_repairs_a_file_works_with_it_and_everything_else_says_why_not(
    algo_home: Home, text: str, works: list[list[str]], needs_all: list[list[str]]
) -> None:
    algo_home.write_config(text)
    name = text.split(" = ")[0].rpartition("\n")[2]
    for words in needs_all:
        result = algo_home.run(*words, input=KEY)
        assert (result.code, result.text) == (ExitCode.CONFIGURATION, ""), words
        assert str(algo_home.config_file) in result.stderr
        assert name in result.stderr
    for words in works:
        result = algo_home.run(*words)
        assert (result.code, "Traceback" in result.stderr) == (ExitCode.OK, False), (words, result)
    doctor = algo_home.run("doctor", "--json")
    assert doctor.code == ExitCode.FAILURE
    assert any(name in row["text"] and not row["ok"] for row in doctor.json)


@pytest.mark.parametrize(
    ("text", "needs_all"),
    [
        ("[plugins]\nalow = ['acme']\n", NEEDS_ALL),
        ("[enforce]\nretrys = 1\n", NEEDS_ALL[:1]),
        ("timeot = 3\n", NEEDS_ALL[:1]),
        ("x = [\n", NEEDS_ALL[:1]),
    ],
)
def test_an_administrators_file_with_a_fault_closes(algo_home: Home, text: str, needs_all: list[list[str]]) -> None:
    algo_home.write_site_config(text)
    for words in needs_all:
        result = algo_home.run(*words, input=KEY)
        assert (result.code, result.text) == (ExitCode.CONFIGURATION, ""), words
        assert str(algo_home.site_file) in result.stderr
        assert "to correct" in result.stderr
    for words in (["--help"], ["config", "path"]):
        assert algo_home.run(*words).code == ExitCode.OK
    assert algo_home.run("doctor").code != ExitCode.OK


def test_unset_removes_whatever_the_file_holds(algo_home: Home) -> None:
    text = '# mine\nretrys = 3\n\n[profiles."a b"]\nadress = "x" # why\ntimeout = 3\n\n[plugin]\nx = 1\n'
    algo_home.write_config(text)
    for key in ("retrys", 'profiles."a b".adress', "plugin"):
        assert algo_home.run("config", "unset", key).code == ExitCode.OK
    assert algo_home.config_file.read_text() == '# mine\n\n[profiles."a b"]\ntimeout = 3\n\n'
    assert algo_home.run("config", "list").stderr == ""
    for key, code in (
        ("profiles.x.y", ExitCode.NOT_FOUND),
        ("timeout", ExitCode.OK),
        ("a b", ExitCode.USAGE),
        ("", ExitCode.USAGE),
        ("x = 1\ny", ExitCode.USAGE),
    ):
        assert algo_home.run("config", "unset", key).code == code
    assert algo_home.run("config", "unset", "profiles").code == ExitCode.OK


def test_edit_opens_the_file_and_says_what_is_wrong_in_it(algo_home: Home, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "retrys = 3" >> "$1"\n')
    editor.chmod(0o755)
    result = algo_home.run("config", "edit", environ={"VISUAL": str(editor)})
    assert result.code == ExitCode.CONFIGURATION
    assert "did you mean 'retries'?" in result.stderr
    assert algo_home.config_file.stat().st_mode & 0o777 == 0o600
    editor.write_text('#!/bin/sh\necho "timeout = 3" > "$1"\n')
    algo_home.write_config("not toml at all [\n")
    assert algo_home.run("config", "edit", environ={"VISUAL": str(editor)}).code == ExitCode.OK


def test_a_byte_order_mark_is_no_fault(algo_home: Home) -> None:
    algo_home.write_config("\ufefftimeout = 7\n")
    assert algo_home.run("config", "get", "timeout").text == "7\n"
    assert algo_home.run("config", "set", "retries", "1").code == ExitCode.OK
    assert algo_home.run("config", "get", "timeout").text == "7\n"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ALGO_TIMEOUT", "soon", "timeout must be a number of seconds, not 'soon' (from environment variable ALGO_TIMEOUT)"),
        ("ALGO_TIMEOUT", "-1", "above 0"),
        ("ALGO_TIMEOUT", "nan", "above 0"),
        ("ALGO_RETRIES", "2.5", "retries must be a whole number"),
        ("ALGO_INSECURE_HTTP", "maybe", "insecure_http must be true or false"),
        ("ALGO_DISABLE_PLUGINS", "acme<2", "'acme<2' is not a distribution's name"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_and_can_be_left_out(algo_home: Home, variable: str, value: str, said: str) -> None:
    algo_home.write_config('[profiles.default]\naddress = "http://127.0.0.1:9"\n')
    result = algo_home.run("ls", environ={variable: value})
    assert result.code == ExitCode.CONFIGURATION
    assert said in result.stderr
    assert f"`unset {variable}`" in result.stderr
    assert algo_home.run("config", "list", environ={variable: value}).code == ExitCode.OK


def test_doctor_names_variables_that_mean_nothing(algo_home: Home) -> None:
    wrong = {"ALGORITHMIA_API_URL": "https://x", "ALGO_TIMEOT": "3", "ALGO_PROFIL": "x", "ALGO_ACME": "1"}
    rows = {row["check"]: row for row in algo_home.run("doctor", "--json", environ=wrong).json}
    assert not rows["environment"]["ok"]
    for name in ("ALGORITHMIA_API_URL", "ALGO_TIMEOT", "ALGO_PROFIL"):
        assert f"{name} is not a known variable: did you mean" in rows["environment"]["text"]
    assert "ALGO_ACME" not in rows["environment"]["text"]


BOUNDS = [
    ">=1", ">=1,<2", "==1.*", "!=1.5.*", "~=1.4", "== 2", ">1.0.0 , <=3", "~=1", ">=1.*", "<two", "=1", "==1.*.2", "",
    ">=1,", ">=1,,<2", "===1.0", ">=1.0rc1", "==1.0+local", "<", "1.0", ">=1;x", ">= 1 2", "==1.0.*.0", "~=1.4.*",
]  # fmt: skip


@pytest.mark.parametrize("bounds", BOUNDS)
def test_what_is_plain_is_what_the_library_takes(bounds: str) -> None:
    """The quick look lets through nothing that pip would refuse."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    from algo_core.settings.specifiers import are_plain, fault_of

    try:
        SpecifierSet(bounds)
        right = True
    except InvalidSpecifier:
        right = False
    assert (fault_of(f"acme{bounds}") is None) == right or not bounds or bounds[0] not in "<>=!~"
    assert right or not are_plain(bounds)
