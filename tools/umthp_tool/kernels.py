# SPDX-License-Identifier: GPL-2.0
"""Which kernels are supported: um_config/kernels.toml, and the judgement on one tree."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from .errors import SeriesError, ToolchainError, UsageError

Version = Tuple[int, ...]
# Reads a file of the tree under judgement; None if it is not there.
Reader = Callable[[str], Optional[bytes]]


@dataclass(frozen=True)
class Kernel:
    package: str
    suites: Tuple[str, ...]
    min: str
    below: str

    def holds(self, version: Version) -> bool:
        return parse_version(self.min) <= version < parse_version(self.below)


@dataclass(frozen=True)
class Probe:
    file: str
    symbol: str
    need: str


@dataclass(frozen=True)
class Hook:
    """One line to be inserted into one existing file."""

    file: str
    line: str
    place: str
    anchor: str


@dataclass(frozen=True)
class Support:
    kernels: Tuple[Kernel, ...]
    probes: Tuple[Probe, ...]
    hooks: Tuple[Hook, ...]
    present_file: str
    present_symbol: str
    arguments: Dict[str, Tuple[str, ...]]   # variant -> kernel command line
    make: Dict[str, Tuple[str, ...]]        # variant -> variables on the make command line

    def package(self, name: str) -> Optional[Kernel]:
        """The entry for a package name, or for a bare version such as 7.3."""
        for kernel in self.kernels:
            if name in (kernel.package, kernel.min):
                return kernel
        return None

    def ranges(self) -> str:
        return ", ".join("%s.x" % kernel.min for kernel in self.kernels)


def load_toml(path: Path) -> Dict[str, Any]:
    try:
        import tomllib
    except ImportError:
        try:
            import tomli as tomllib  # type: ignore[no-redef]
        except ImportError as error:
            raise ToolchainError(
                "this Python has no TOML parser (part of Python since 3.11)",
                "use Python 3.11 or newer, or: apt install python3-tomli") from error
    with open(path, "rb") as stream:
        return tomllib.load(stream)


def load_support(um_config: Path) -> Support:
    path = um_config / "kernels.toml"
    try:
        raw = load_toml(path)
        return Support(
            kernels=tuple(Kernel(k["package"], tuple(k["suites"]), k["min"], k["below"])
                          for k in raw["kernel"]),
            probes=tuple(Probe(**p) for p in raw["probe"]),
            hooks=tuple(Hook(**h) for h in raw["hook"]),
            present_file=raw["present"]["file"], present_symbol=raw["present"]["symbol"],
            arguments={name: tuple(words) for name, words in
                       raw.get("arguments", {}).items()},
            make={name: tuple(words) for name, words in raw.get("make", {}).items()})
    except OSError as error:
        raise UsageError("cannot read %s: %s" % (path, error.strerror),
                         "--um-config takes a directory with kernels.toml, series and patches/"
                         ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("%s is not valid: %s" % (path, error), "correct the file") from error


def parse_version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("-")[0]))


def makefile_version(makefile: Optional[bytes]) -> Optional[str]:
    """VERSION.PATCHLEVEL.SUBLEVEL and EXTRAVERSION from a kernel's top Makefile."""
    if makefile is None:
        return None
    found = {}
    for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION"):
        match = re.search(r"^%s *=[ \t]*(\S*)[ \t]*$" % name,
                          makefile.decode("utf-8", "replace"), re.M)
        if match is None:
            return None
        found[name] = match.group(1)
    return "%s.%s.%s%s" % (found["VERSION"], found["PATCHLEVEL"], found["SUBLEVEL"] or "0",
                           found["EXTRAVERSION"])


def files_read(support: Support) -> List[str]:
    """The files that check_supported() reads."""
    return ["Makefile", *dict.fromkeys(["mm/huge_memory.c", *(
        probe.file for probe in support.probes)])]


def check_supported(support: Support, read: Reader, where: str,
                    warn: Callable[[str], None]) -> str:
    """The tree's version, or SeriesError with everything that it lacks.

    A tree newer than what is known gets a warning: a developer's tree is ahead of any release,
    and if the series does not apply, that is found out exactly.
    """
    version = makefile_version(read("Makefile"))
    if version is None or read("mm/huge_memory.c") is None:
        raise UsageError("%s is not a Linux source tree (no Makefile with a VERSION, or no "
                         "mm/huge_memory.c)" % where,
                         "cd to a kernel tree, or use --kernel %s" % support.kernels[0].package)
    lacks: List[str] = []
    for probe in support.probes:
        content = read(probe.file)
        if content is None or not re.search(rb"\b%s\b" % re.escape(probe.symbol.encode()),
                                            content):
            lacks.append("%s in %s (%s)" % (probe.symbol, probe.file, probe.need))
    number = parse_version(version)
    in_range = any(kernel.holds(number) for kernel in support.kernels)
    if lacks:
        raise SeriesError("%s is %s; supported: %s. It lacks:\n%s"
                          % (where, version, support.ranges(), "\n".join(lacks)),
                          "use a newer kernel, or --kernel %s" % support.kernels[0].package)
    if not in_range and number >= max(parse_version(k.below) for k in support.kernels):
        warn("%s is %s, newer than the kernels that the series was made for (%s)"
             % (where, version, support.ranges()))
    elif not in_range:
        raise SeriesError("%s is %s; supported: %s. It has every symbol that is probed for, "
                          "but nobody has run the series on it" % (where, version,
                                                                   support.ranges()),
                          "add a [[kernel]] entry to um_config/kernels.toml to try it, or use "
                          "--kernel %s" % support.kernels[0].package)
    return version
