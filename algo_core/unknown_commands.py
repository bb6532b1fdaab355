"""Suggestions for an unknown command: what other tools' words for it are called here, and similar names.

Only commands that are installed are suggested, by their full names.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches

_MOST = 3

_MEANINGS = {
    "auth": "login log-in signin sign-in logon authenticate configure setup",
    "profile show": "whoami who me account",
    "profile remove": "logout log-out signout",
    "profile use": "switch",
    "config": "settings preferences options",
    "doctor": "check diagnose",
    "help": "man usage-help topics commands",
    "--version": "version ver",
    "plugins": "plugin extension extensions ext addons",
    "plugins upgrade": "upgrade self-update",
    "list": "ls dir all",
    "ls": "list dir tree find lsf lsl",
    "cp": "copy upload download put get push pull fetch",
    "mv": "move rename ren",
    "rm": "delete del remove erase unlink purge",
    "cat": "print head more less type",
    "du": "size df",
    "mkdir": "md makedir mb",
    "rmdir": "rd rb",
    "share": "link presign url",
    "sync": "rsync mirror bisync",
    "stat": "head-object lsjson",
    "create": "new make init add",
    "new": "create make init",
    "add": "create new make set connect invite",
    "delete": "rm del remove destroy drop",
    "remove": "rm del delete destroy drop unset uninstall",
    "revoke": "rm del delete remove destroy",
    "install": "add get",
    "uninstall": "rm del delete remove",
    "unset": "rm del delete remove",
    "show": "get info describe view inspect details status cat",
    "get": "show read value",
    "update": "edit set modify change configure",
    "set": "add create update put change",
    "edit": "update modify change open",
    "use": "switch select default choose",
    "logs": "log tail output",
    "cancel": "stop kill abort end rm delete",
    "run": "call invoke exec execute predict",
    "requests": "calls history executions jobs runs ps",
    "result": "results response answer",
    "publish": "deploy release push",
    "compile": "build make",
    "algorithms": "algorithm algos algo models functions apps",
    "keys": "key apikey api-key api-keys tokens token",
    "orgs": "org organizations organization teams team",
    "secrets": "secret vault",
    "schedules": "schedule cron crons",
    "environment": "env envs environments runtimes",
    "languages": "language lang",
    "clone": "checkout git",
    "bench": "benchmark load perf",
    "usage": "billing metrics stats",
    "acl": "permissions perms chmod access",
    "local env": "env envs virtualenv venv",
    "local connector": "connector connectors remote remotes mount",
    "local publish": "deploy release push",
    "algorithms publish": "deploy release",
    "local serve": "server start up daemon",
    "local status": "status info",
    "local top": "monitor dashboard",
    "local dev": "watch",
}
"""Commands, by their full or their last names, and words of other command lines for them."""


_WORDS = sorted({word for words in _MEANINGS.values() for word in words.split()})


def suggestions(word: str, path: str, siblings: Collection[str], known: Collection[str]) -> list[str]:
    """The commands that an unknown one may stand for, the likeliest first.

    Args:
        word: what was typed after `algo PATH`.
        path: the full name of the group; empty for `algo` itself.
        siblings: the names of the commands of the group.
        known: the full names of all commands.
    """
    wanted = word.lower()
    meant = _meant(wanted)
    prefix = f"{path} " if path else ""
    own = [prefix + name for name in meant if name in siblings]
    close = [prefix + name for name in get_close_matches(wanted, siblings, n=_MOST)]
    below = [name for name in known if name.endswith(f" {wanted}")]
    elsewhere = [wanted] if wanted in known else []
    elsewhere += [name for name in meant if name in known or name.startswith("-")]
    elsewhere += below if len(below) <= _MOST else []  # a word as common as "list" says nothing
    if path:
        return _first(own or close or elsewhere)
    misspelt = [name for one in get_close_matches(wanted, _WORDS, n=1, cutoff=0.8) for name in _meant(one)]
    return _first([*own, *elsewhere] or [name for name in misspelt if name in known] or close)


def did_you_mean(commands: Sequence[str]) -> str:
    """A hint with suggested commands, as they are typed."""
    return "Did you mean: " + ", ".join(f"algo {name}" for name in commands) + "?"


def _meant(word: str) -> list[str]:
    return [name for name, words in _MEANINGS.items() if word in words.split()]


def _first(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))[:_MOST]
