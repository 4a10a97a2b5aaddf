"""Which commands there are, and how errors become exit codes.

Exit codes: 0 done; 1 a check failed or the run broke part-way; 2 the user's input was wrong; 130
Ctrl-C.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from zoo.errors import ZooError, did_you_mean

COMMANDS = {
    "check": "zoo.cli.check:check",
    "compare": "zoo.cli.compare:compare",
    "crosscheck": "zoo.cli.crosscheck:crosscheck",
    "devices": "zoo.cli.devices:devices",
    "doctor": "zoo.cli.doctor:doctor",
    "flops": "zoo.cli.flops:flops",
    "formula": "zoo.cli.formula:formula",
    "freeze": "zoo.cli.freeze:freeze",
    "info": "zoo.cli.catalog:info",
    "list": "zoo.cli.catalog:list_models",
    "memory": "zoo.cli.memory:memory",
    "params": "zoo.cli.params:params",
    "plugins": "zoo.cli.catalog:plugins",
    "summary": "zoo.cli.summary:summary",
    "sweep": "zoo.cli.sweep:sweep",
    "trace": "zoo.cli.trace:trace",
    "transfer": "zoo.cli.transfer:transfer",
}
"""Our own commands, each imported when it is asked for. Plugins bring more."""


def _from_plugins() -> dict[str, click.Command]:
    from zoo.api import plugin_commands

    return dict(plugin_commands(COMMANDS))


class Zoo(click.Group):
    """The command group; the one place where errors become exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted([*COMMANDS, *_from_plugins()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command by its name."""
        place = COMMANDS.get(name)
        if place is None:
            return _from_plugins().get(name)
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A command by the first word, with what is near it where there is none."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            hint = did_you_mean(args[0], known, f"Known: {', '.join(known)}.")
            raise click.UsageError(f"no command is called {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; every error of the user's is one line on stderr and code 2."""
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            raise SystemExit(2) from None
        except click.Abort:
            raise SystemExit(130) from None
        except (ZooError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            click.echo(f"zoo: {' '.join(text.split())}", err=True)
            raise SystemExit(2) from None
        raise SystemExit(code if isinstance(code, int) else 0)


@click.group(cls=Zoo, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="torch-zoo", prog_name="zoo")
def main() -> None:
    """Shapes, parameters, MACs and memory of any PyTorch model, without its weights.

    MODEL is a name (`zoo list`), plugin/name, ./net.py:Net or package.module:factory; or a trace
    that `zoo trace MODEL -o t.json.gz` saved.
    """
