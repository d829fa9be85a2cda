"""The option --notify-webhooks of sources, with its old name --relay."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from guestbook.cli.option_types import together

OLD_NAME = "guestbook.sources.relay"  # key in click's context for the value of the option's old name
F = TypeVar("F", bound=Callable[..., Any])


def option(name: str, old_name: str, help_text: str) -> Callable[[F], F]:
    """Return --notify-webhooks with its old name --relay, which still works."""
    return together(
        click.option(name, "relayed", is_flag=True, default=None, callback=_new_name, help=help_text),
        click.option(
            old_name,
            is_flag=True,
            default=None,
            hidden=True,
            expose_value=False,
            is_eager=True,
            callback=_old_name,
        ),
    )


def _old_name(context: click.Context, _param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        context.meta[OLD_NAME] = value
        click.echo("--relay is deprecated: the option is called --notify-webhooks now.", err=True)


def _new_name(context: click.Context, _param: click.Parameter, value: bool | None) -> bool | None:
    old: bool | None = context.meta.get(OLD_NAME)
    return old if value is None else value
