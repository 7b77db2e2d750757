# SPDX-License-Identifier: GPL-2.0
"""umthp completion bash|zsh: what the shell needs to complete the command line.

Options come from the parser. Names of suites and tests, variants and kernels are looked up when
they are asked for, in the tables of the umthp that is in the PATH.
"""
from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import List, Sequence

from . import command_tree
from .command_tree import Command, Option
from .context import Context
from .errors import EXIT_PASS

DESCRIPTION = ("Print the completion of a shell. bash: eval \"$(umthp completion bash)\"; zsh: "
               "umthp completion zsh >DIR/_umthp, with DIR in $fpath. `make install` does it.")
FOLDER = Path(__file__).resolve().parent / "shell"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), metavar="SHELL", help="bash or zsh")


def main(args: argparse.Namespace, context: Context) -> int:
    from .cli import make_parser    # cli imports us
    commands = command_tree.read(make_parser())
    text = bash(commands) if args.shell == "bash" else zsh(commands)
    context.console.say(text.rstrip("\n"))
    return EXIT_PASS


def bash(commands: Sequence[Command]) -> str:
    values, options, places = [], [], []
    for command in commands:
        for option in command.options:
            if option.takes_value:
                values.append("\t%s) %s ;;" % (
                    "|".join('"%s %s"' % (command.name, flag) for flag in option.flags),
                    _bash_value(option)))
        flags = [flag for option in command.options for flag in option.flags]
        options.append("\t\t%s,-*) words='%s' ;;" % (command.name, " ".join(flags)))
        if command.arguments:
            places.append("\t\t%s,*) %s ;;" % (command.name, _bash_value(command.arguments[0])))
    return _filled("bash", values="\n".join(values), options="\n".join(options),
                   arguments="\n".join(places),
                   commands=" ".join(command.name for command in commands))


def _filled(shell: str, **parts: str) -> str:
    """The frame for a shell with its @PARTS@; the functions that read the tables are in both."""
    text = (FOLDER / shell).read_text(encoding="utf-8")
    parts["tables"] = (FOLDER / "tables").read_text(encoding="utf-8").partition("\n")[2]
    return re.sub("@([A-Z]+)@", lambda match: parts[match.group(1).lower()].rstrip("\n"), text)


def _bash_value(option: Option) -> str:
    if option.choices:
        return "words='%s'" % " ".join(option.choices)
    return "kind='%s'" % (option.kind or "none")


def zsh(commands: Sequence[Command]) -> str:
    parts: List[str] = []
    for command in commands:
        specs = [_zsh_option(option) for option in command.options]
        specs += ["'%s:%s:%s'" % ("*" if " ...]" in command.usage else "%d" % (number + 1),
                                  _zsh_text(argument.value), _zsh_value(argument))
                  for number, argument in enumerate(command.arguments)]
        parts.append("\t\t%s) _arguments -s \\\n\t\t\t%s ;;" % (
            command.name, " \\\n\t\t\t".join(specs)))
    # The first line is what compinit looks at.
    return "#compdef umthp\n" + _filled(
        "zsh", arguments="\n".join(parts), commands=" ".join(one.name for one in commands))


def _zsh_option(option: Option) -> str:
    value = ":%s:%s" % (_zsh_text(option.value), _zsh_value(option)) if option.takes_value else ""
    words = ["%s[%s]%s" % (flag + ("=" if value and flag.startswith("--") else ""),
                           _zsh_text(option.text), value) for flag in option.flags]
    # One option under two names excludes the other one.
    rest = "(%s)" % " ".join(option.flags) if len(words) > 1 else ""
    return " ".join("'%s%s'" % (rest, word) for word in words)


def _zsh_text(text: str) -> str:
    """One short line without what _arguments takes for its own."""
    text = re.sub(r"[\[\]:`'\"\\$]", "", " ".join(text.split()))
    return text if len(text) <= 60 else text[:57].rstrip() + "..."


def _zsh_value(option: Option) -> str:
    if option.choices:
        return "(%s)" % " ".join(option.choices)
    return {command_tree.FILE: "_files", command_tree.DIRECTORY: "_files -/",
            command_tree.KERNEL: "{_umthp_list _umthp_kernels; _files}",
            command_tree.VARIANT: "{_umthp_list _umthp_variants}",
            command_tree.GLOB: '{_umthp_list _umthp_tests "$PREFIX"}'}.get(option.kind, " ")
