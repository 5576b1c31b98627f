"""Options that several commands share, and the settings they lead to."""

from pathlib import Path
from typing import Annotated, Any

import typer

from service.settings import Settings, load_settings

TOKEN_VARIABLE = "VALID_TOKEN"  # noqa: S105 - a name

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file. Default: ./tiber-serve.toml if there is one."),
]
TokensFileOption = Annotated[
    Path | None, typer.Option("--tokens-file", help="Where token hashes are kept. Default: var/tokens.json.")
]


def load(config: Path | None, *, tokens_file: Path | None = None, **overrides: Any) -> Settings:  # noqa: ANN401 - settings of any type
    """The settings of --config, with what else the command line gave on top."""
    given = {key: value for key, value in overrides.items() if value is not None}
    if tokens_file is not None:
        given["auth"] = {"tokens_file": str(tokens_file)}
    return load_settings(config, given)
