"""Families of `ir-lightning` commands, each a `typer.Typer` that cli.py adds."""
