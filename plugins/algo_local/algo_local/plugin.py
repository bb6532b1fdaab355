"""The plugin's hooks: commands of `algo local`, the transport for `local:` addresses, settings and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_core import Command, DoctorCheck, Profile, Variable, hookimpl
from algo_core.errors import AlgorithmFailed

if TYPE_CHECKING:
    from algo_core.errors import AlgoError
    from algo_core.http.transport import Transport
    from algo_core.plugins.types import DirectoryRun

ADDRESS = "local:"
"""The address of the embedded platform."""

ALGO_ADDRESSES = (ADDRESS,)

_NESTED = {
    "backup": ("backup:backup", "Back up the platform while it is used."),
    "build": ("disk:build", "Remove builds of algorithms."),
    "connector": ("connector:connector", "Connect the platform to object stores and other file systems."),
    "data": ("disk:data", "List and remove the data that algorithms keep (data://.algo)."),
    "dev": ("develop:dev", "Serve an algorithm's directory as it stands, until interrupted."),
    "env": ("disk:environment", "List and remove the virtual environments of algorithms."),
    "key": ("key:key", "Make, list and revoke API keys of the served platform."),
    "migrate": ("migrate:migrate", "Move the platform to a directory or to servers."),
    "prune": ("disk:prune", "Free disk space: remove what no published version needs."),
    "publish": ("publish:publish", "Build the algorithm in DIRECTORY and publish it as a version."),
    "reset": ("local:reset", "Delete all data, algorithms, accounts and keys."),
    "restore": ("backup:restore", "Restore a backup into the platform's directory."),
    "samples": ("samples:samples", "Publish the algorithms of the user's guide."),
    "serve": ("local:serve", "Serve the platform over HTTP until interrupted."),
    "shell": ("trial:shell", "Run COMMAND, or an interpreter, in an algorithm's environment."),
    "status": ("local:status", "Show the state's directory, contents and disk usage."),
    "stop": ("local:stop", "Stop the algorithms that are kept loaded between commands."),
    "test": ("trial:test", "Run the tests and recorded cases of an algorithm."),
    "top": ("top:top", "Show the queue, workers, rates and latencies by version."),
}
"""The commands below `algo local`: their modules and their help lines."""


@hookimpl
def algo_commands() -> list[Command]:
    """`algo local` and the commands below it, and `algo algorithms test`."""
    nested = [
        Command(f"local {name}", f"algo_local.commands.{target}", help=line, group="Platform")
        for name, (target, line) in _NESTED.items()
    ]
    return [
        Command(
            "local",
            "algo_local.commands.groups:local",
            help="Publish to, serve and maintain the platform on this machine.",
            group="Platform",
        ),
        *nested,
        Command(
            "algorithms test",
            "algo_local.commands.version_cases:test_version",
            help="Call a version or build on recorded cases.",
            group="Algorithms",
        ),
    ]


@hookimpl(trylast=True)
def algo_default_profile(name: str) -> Profile | None:
    """The embedded platform, if no other is configured."""
    if name != "default":
        return None
    return Profile(
        name,
        ADDRESS,
        origin="the embedded platform",
        notice="Using the embedded platform on this machine; 'algo auth' configures another.",
    )


@hookimpl
def algo_transport(profile: Profile) -> Transport | None:
    """The embedded platform inside this process, for a profile with its address."""
    if profile.address != ADDRESS:
        return None
    from algo_local.opening import platform_at
    from algo_local.state import State
    from algo_local.web.app import Application
    from algo_local.web.transport import EmbeddedTransport

    return EmbeddedTransport(Application(platform_at(State.of()), trusted=True))


@hookimpl(trylast=True)
def algo_directory(run: DirectoryRun) -> Transport:
    """The algorithm in a directory, run by the embedded platform as it stands."""
    from algo_local.opening import platform_at
    from algo_local.state import State
    from algo_local.web.directory_calls import DirectoryTransport

    return DirectoryTransport(platform_at(State.of()), run)


@hookimpl
def algo_error_hints(error: AlgoError) -> str | None:
    """What mends the failure of an algorithm, where that is known."""
    if not isinstance(error, AlgorithmFailed):
        return None
    from algo_local.advice import advice_on

    return advice_on(error.message, error.stacktrace)


@hookimpl
def algo_variables() -> list[Variable]:
    """What moves, confines and limits the embedded platform."""
    return [
        Variable("ALGO_LOCAL_ROOT", "directory of the embedded platform's state (default: in ALGO_DATA_DIR)"),
        Variable("ALGO_LOCAL_METADATA", "URL of a PostgreSQL database for its metadata (default: a file there)"),
        Variable("ALGO_LOCAL_OBJECTS", "URL of an object store for its hosted data (default: files there)"),
        Variable("ALGO_LOCAL_SECRETS_KEY", "the key of its secrets (default: the file secrets.key there)"),
        Variable("ALGO_LOCAL_SANDBOX", "run algorithms in a sandbox (bubblewrap): auto, required or off"),
        Variable(
            "ALGO_LOCAL_SANDBOX_PATHS", "additional paths visible in the sandbox, such as /data/models:/scratch=rw"
        ),
        Variable("ALGO_LOCAL_BUILD_CODE", "let builds over HTTP run the code of packages: on or off (default)"),
        Variable("ALGO_LOCAL_INSTALLER", "how environments are made: auto (uv if it is there), uv or pip"),
        Variable("ALGO_LOCAL_PYTHON_DOWNLOADS", "let uv download missing versions of Python: on or off (default)"),
        Variable("ALGO_LOCAL_NODE", "path of Node.js, for algorithms in JavaScript; off for none (default: node)"),
        Variable("ALGO_LOCAL_R", "path of Rscript, for algorithms in R; off for none (default: Rscript)"),
        Variable("ALGO_LOCAL_MEMORY", "limit of memory per process of an algorithm, such as 2G"),
        Variable("ALGO_LOCAL_FILE_SIZE", "limit of the size of its files, such as 2G"),
        Variable("ALGO_LOCAL_PROCESSES", "limit of processes and threads per algorithm"),
        Variable("ALGO_LOCAL_OPEN_FILES", "limit of open files per process of an algorithm"),
        Variable("ALGO_LOCAL_WORKERS", "limit of workers, which run algorithms (default: by the machine's memory)"),
        Variable("ALGO_LOCAL_WORKERS_PER_VERSION", "the same of one version of an algorithm (default: three quarters)"),
        Variable("ALGO_LOCAL_WORKERS_KEPT", "workers of each version that are kept while nobody calls it (default: 0)"),
        Variable("ALGO_LOCAL_WORKER_CALLS", "after how many calls a worker is replaced (default: 10000)"),
        Variable("ALGO_LOCAL_WORKER_SECONDS", "at what age, in seconds, a worker is replaced (default: 3600)"),
        Variable("ALGO_LOCAL_WORKER_MEMORY", "memory of a worker above which it is replaced, such as 2G"),
        Variable("ALGO_LOCAL_QUEUE", "limit of calls that wait for a worker (default: 1000)"),
        Variable(
            "ALGO_LOCAL_KEEP_SECONDS",
            "how long algorithms stay loaded after a command (default: 60; 0, the default where CI is set: not at all)",
        ),
        Variable(
            "ALGO_LOCAL_HANG_SECONDS",
            "after how long without an answer 'local serve --processes' starts a process again (default: 30; 0: never)",
        ),
        Variable("ALGO_LOCAL_RECORD_DAYS", "age in days at which recorded calls are removed (default: 7)"),
        Variable("ALGO_LOCAL_RECORD_SIZE", "limit of the size of the record of calls, such as 1G"),
        Variable("ALGO_LOCAL_NOTIFY_PRIVATE", "let --notify name private addresses: on or off (default: on loopback)"),
        Variable("ALGO_LOCAL_RECORD_CONTENT", "largest input or output that is recorded, such as 64K"),
    ]


@hookimpl
def algo_doctor_checks() -> list[DoctorCheck]:
    """Whether the embedded platform's state can be used, and what algorithms run in."""

    def check() -> tuple[bool, str]:
        from algo_local.checks import check_state

        return check_state()

    def check_sandbox() -> tuple[bool, str]:
        from algo_local import checks

        return checks.check_sandbox()

    return [DoctorCheck("embedded platform", check), DoctorCheck("sandbox for algorithms", check_sandbox)]
