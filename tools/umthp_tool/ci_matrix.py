# SPDX-License-Identifier: GPL-2.0
"""umthp ci-matrix: kernels x variants, in the form that an engine takes which spreads work.

    json       [{"name", "kernel", "variant", "args", "cache"}, ...]
    github     {"include": [the same]}, for `matrix: ${{ fromJSON(...) }}`
    gitlab     [{"NAME": ..., "ARGS": ...}, ...], for `parallel: matrix:`
    parallel   a line each, tabs between: name, arguments; for GNU parallel over ssh
"""
from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Any, Dict, Iterable, List

from . import config
from .context import ROOT, Context
from .errors import EXIT_PASS, UsageError

DESCRIPTION = ("Print kernels x variants as a matrix of jobs. Each job is `umthp ARGS`; `cache` "
               "changes when what is built from the same kernel changes.")
FORMS = ("json", "github", "gitlab", "parallel")
# Variants that have nothing more to test: not in the matrix unless they are asked for.
UNTESTED = ("gdb",)
# What is run in a variant; that of all others is `run`.
COMMANDS = {
    # Its own command: the kernel is the default one, with gcov.
    "coverage": ["coverage"],
    # Without THP there are no suites: KUnit's example shows that the kernel boots.
    "nothp": ["run", "example"],
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=FORMS, default="json",
                        help="github and gitlab: one line of JSON; parallel: a line for each job")
    parser.add_argument("--kernels", metavar="LIST",
                        help="what --kernel takes, with commas (default: all supported packages)")
    parser.add_argument("--variants", metavar="LIST", help="with commas (default: all but gdb)")


def main(args: argparse.Namespace, context: Context) -> int:
    kernels = _words(args.kernels, "--kernels") if args.kernels is not None \
        else [kernel.package for kernel in context.support.kernels]
    known = config.variants(context.layout)
    variants = _words(args.variants, "--variants") if args.variants is not None else [
        name for name in known if name not in UNTESTED]
    for name in variants:
        config.variant(context.layout, name)
    jobs = matrix(kernels, variants, fingerprint([
        context.layout.um_config, context.layout.kunit, context.layout.kunitconfig]))
    for line in lines(jobs, args.form):
        context.console.say(line)
    return EXIT_PASS


def _words(text: str, option: str) -> List[str]:
    words = [word for word in text.split(",") if word]
    if not words:
        raise UsageError("%s names nothing" % option, "leave it out for all, or name one")
    return words


def matrix(kernels: Iterable[str], variants: Iterable[str], print_: str) -> List[Dict[str, str]]:
    """One job for each kernel and variant."""
    variants = list(variants)
    made: List[Dict[str, str]] = []
    for kernel in kernels:
        for variant in variants:
            # Of files and artifacts: kernels may be paths.
            name = re.sub(r"[^A-Za-z0-9.]+", "-", "%s-%s" % (kernel, variant)).strip("-.")
            if name in (job["name"] for job in made):
                name += "-%d" % len(made)
            words = [*COMMANDS.get(variant, ["run"]), "--kernel", kernel, "--variant", variant]
            made.append({"name": name, "kernel": kernel, "variant": variant,
                         "args": " ".join(map(shlex.quote, words)),
                         "cache": "%s-%s" % (name, print_)})
    return made


def lines(jobs: List[Dict[str, str]], form: str) -> List[str]:
    if form == "parallel":
        return ["%s\t%s" % (job["name"], job["args"]) for job in jobs]
    value: Any = jobs
    if form == "github":
        value = {"include": jobs}
    elif form == "gitlab":
        value = [{"NAME": job["name"], "ARGS": job["args"]} for job in jobs]
    return json.dumps(value, indent=1 if form == "json" else None).split("\n")


def fingerprint(paths: Iterable[Path]) -> str:
    """Names the state of what is laid over the kernel and of how it is configured."""
    digest = hashlib.sha256()
    for top in paths:
        files = [top] if top.is_file() else sorted(
            path for path in top.rglob("*") if path.is_file())
        for path in files:
            digest.update(str(path.relative_to(ROOT) if path.is_relative_to(ROOT)
                              else path.name).encode("utf-8", "surrogateescape") + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
