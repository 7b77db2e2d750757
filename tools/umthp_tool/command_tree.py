# SPDX-License-Identifier: GPL-2.0
"""The commands and their options, read from argparse: what completion and manual are made of."""
from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import List, Optional, Tuple

# What a value is, by how the help calls it.
FILE, DIRECTORY, KERNEL, VARIANT, GLOB, PLAIN = "file", "dir", "kernel", "variant", "glob", ""
_KINDS = {"F": FILE, "FILE": FILE, "DIR": DIRECTORY, "WHAT": KERNEL, "GLOB": GLOB}


@dataclass(frozen=True)
class Option:
    """An option, or a positional argument: then it has no flags."""

    flags: Tuple[str, ...]
    value: str              # how the help calls its value; empty if it takes none
    kind: str
    choices: Tuple[str, ...]
    text: str

    @property
    def takes_value(self) -> bool:
        return bool(self.value)


@dataclass(frozen=True)
class Command:
    name: str
    text: str
    usage: str
    options: Tuple[Option, ...]
    arguments: Tuple[Option, ...]


def read(parser: argparse.ArgumentParser) -> List[Command]:
    """The commands of a parser with subparsers, in the order of their names."""
    for action in parser._actions:      # argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):
            return [_command(name, sub) for name, sub in sorted(action.choices.items())]
    return []


def _command(name: str, parser: argparse.ArgumentParser) -> Command:
    found = [(action, _option(parser, action)) for action in parser._actions
             if action.help != argparse.SUPPRESS]
    return Command(name, parser.description or "", _usage(parser),
                   tuple(option for action, option in found if action.option_strings),
                   tuple(option for action, option in found if not action.option_strings))


def _usage(parser: argparse.ArgumentParser) -> str:
    """`umthp run [options] [GLOB]`: the options are listed below it."""
    words = [parser.prog, "[options]"]
    for action in parser._actions:
        if not action.option_strings:
            name = str(action.metavar or action.dest)
            words.append({"?": "[%s]", "*": "[%s ...]"}.get(str(action.nargs), "%s") % name)
    return " ".join(words)


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> Option:
    flag_only = action.nargs == 0
    choices = tuple(map(str, action.choices or ()))
    value = "" if flag_only else str(action.metavar or "|".join(choices) or action.dest.upper())
    kind = _KINDS.get(value, VARIANT if action.dest == "variant" else PLAIN)
    return Option(tuple(action.option_strings), value, kind, choices, _help(parser, action))


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text: Optional[str] = action.help
    return parser._get_formatter()._expand_help(action) if text else ""
