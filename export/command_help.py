"""Shows a command's options in groups, after each option's `rich_help_panel`."""

import click
from typer.core import TyperCommand


class GroupedCommand(TyperCommand):
    """A command whose --help has a section for each group, in the order of the options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                title = getattr(parameter, "rich_help_panel", None) or "Options"
                groups.setdefault(str(title), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
