"""Keeps the record of a command's run, from before it begins to its end."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from benchmarks.command_line import out
from benchmarks.record import Environment, make_record, read_environment, write_record
from service.engine.config import EngineConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was known before it began; `output` is None where no record is wanted."""

    kind: str
    environment: Environment
    settings: Mapping[str, object]
    output: Path | None
    model: Path | None

    def finish(
        self,
        results: object,
        *,
        engine: EngineConfig | None = None,
        found: Mapping[str, object] | None = None,
        has_failed: bool = False,
    ) -> None:
        """Write the record where one is wanted; end with status 1 when something failed.

        `results` is a dataclass; `found` are settings that showed only meanwhile.
        """
        if self.output is not None:
            record = make_record(
                kind=self.kind,
                environment=self.environment,
                settings={**self.settings, **(found or {})},
                results=results,
                model=self.model,
                engine=engine,
            )
            write_record(self.output, record)
            out.print(f"written: {self.output}", highlight=False, soft_wrap=True)
        if has_failed:
            raise typer.Exit(1)


def begin(
    kind: str,
    settings: object,
    output: Path | None,
    *,
    model: Path | None = None,
    with_bandwidth: bool = False,
) -> Run:
    """Look at the machine before the run begins; `settings` is a dataclass or a mapping.

    `with_bandwidth` also measures that of memory: before a server starts.
    """
    told = settings if isinstance(settings, Mapping) else asdict(settings)  # type: ignore[call-overload]
    environment = read_environment(with_bandwidth=with_bandwidth)
    return Run(kind=kind, environment=environment, settings=told, output=output, model=model)
