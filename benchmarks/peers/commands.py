"""The benchmarks' command that installs the servers to compare with."""

from typing import Annotated

import typer

from benchmarks.command_line import out, say_line


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Servers to compare with: install them, see their pins.")
    group.command()(install)
    group.command("list")(list_peers)
    app.add_typer(group, name="peers")


def install(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; all if none.")
    ] = None,
) -> None:
    """Make each peer's own environment under .cache/peers, at its pinned versions; skip what is complete.

    llamacpp takes 30 MB, vllm 2 GB.
    """
    from benchmarks.peers import environment
    from service.errors import ConfigError

    for name in names or environment.INSTALLABLE:
        if name not in environment.INSTALLABLE:
            raise ConfigError(f"no peer {name!r}: there are {', '.join(environment.INSTALLABLE)}")
    for name in names or environment.INSTALLABLE:
        environment.install(name, say_line)


def list_peers() -> None:
    """Print the peers, their pinned versions, and whether they are installed."""
    from benchmarks.peers import environment
    from benchmarks.peers.serving import deciding_versions

    for name in environment.INSTALLABLE:
        wrong = environment.differences(
            environment.pins(name), environment.installed(environment.CACHE / name)
        )
        state = "installed" if not wrong else f"not installed: python -m benchmarks peers install {name}"
        versions = ", ".join(f"{package} {version}" for package, version in deciding_versions(name).items())
        out.print(f"{name}: {versions}; {state}", highlight=False, soft_wrap=True)
