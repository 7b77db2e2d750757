# SPDX-License-Identifier: GPL-2.0
"""Which suites execute each line of the instrumented files: gathered once, kept in the cache.

    <cache>/trees/KEY/suite-map.json

It keeps the texts that its lines are of, and what else it depends on, so that it can be used for
a kernel that has changed since.
"""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from . import overlay
from .cache import write_text
from .code_changes import Reached
from .gcov import Counts
from .shadow import Layout

NAME = "suite-map.json"
VERSION = 1


@dataclass
class MappedFile:
    text: str
    reached: Reached


@dataclass
class SuiteMap:
    kernel: str                     # version
    described: str
    made: str                       # when
    slow: bool                      # slow tests, too
    source_tree: str                # what it was taken on, before the series
    objects: List[str]              # object directories that have this tree
    ours: Dict[str, str]            # digests of what umthp adds to a tree, by path
    series: str                     # digest of the series and the configuration
    suites: List[str]               # that it knows, sorted
    body: str                       # JSON of the files: most runs need none of it

    def lacks_slow(self, slow: bool) -> bool:
        return slow and not self.slow

    @cached_property
    def _read(self) -> Any:
        return json.loads(self.body)

    @property
    def files(self) -> List[str]:
        return list(self._read["files"])

    def file(self, name: str) -> MappedFile:
        entry = self._read["files"][name]
        sets = [frozenset(self.suites[at] for at in one) for one in self._read["sets"]]
        reached: Reached = {}
        for first, last, index in entry["lines"]:
            reached.update(dict.fromkeys(range(first, last + 1), sets[index]))
        return MappedFile(entry["text"], reached)


def path(home: Path) -> Path:
    return home / NAME


def line(version: str) -> str:
    """The kernels that have a map in common: 7.3 of 7.3.4."""
    return ".".join(version.split(".")[:2])


def digests(layout: Layout) -> "Tuple[Dict[str, str], str]":
    """What of umthp goes into a kernel: its new files one by one; series and configuration."""
    ours = {name: hashlib.sha256(content).hexdigest()[:16]
            for name, content in overlay.new_files(layout.kunit).items()}
    digest = hashlib.sha256(layout.kunitconfig.read_bytes())
    for file in sorted(layout.um_config.rglob("*")):
        if file.is_file():
            digest.update(b"\0%s\0%s" % (
                file.relative_to(layout.um_config).as_posix().encode("utf-8", "surrogateescape"),
                file.read_bytes()))
    return ours, digest.hexdigest()[:16]


def hit(counts: Counts) -> Dict[str, Set[int]]:
    """The lines that one suite executed, by file."""
    return {file: {number for number, line in lines.items() if line.count}
            for file, lines in counts.items()}


def body(found: Mapping[str, Dict[str, Set[int]]], counted: Mapping[str, Set[int]],
         texts: Mapping[str, str]) -> str:
    """found: suite -> file -> lines; counted: the lines of each file that have a count."""
    suites = sorted(found)
    sets: Dict[Tuple[int, ...], int] = {}
    files: Dict[str, Any] = {}
    for file, text in texts.items():
        ranges: List[List[int]] = []
        for number in sorted(counted.get(file, ())):
            who = tuple(at for at, suite in enumerate(suites)
                        if number in found[suite].get(file, ()))
            index = sets.setdefault(who, len(sets))
            if ranges and ranges[-1][1:] == [number - 1, index]:
                ranges[-1][1] = number
            else:
                ranges.append([number, number, index])
        files[file] = {"text": text, "lines": ranges}
    return json.dumps({"files": files, "sets": [list(who) for who in sets]})


def save(where: Path, kept: SuiteMap) -> None:
    """Three lines: a digest of the others, what the map is of, its lines."""
    head = {field.name: getattr(kept, field.name) for field in fields(kept)
            if field.name != "body"}
    text = json.dumps({"version": VERSION, **head}) + "\n" + kept.body + "\n"
    write_text(where, _digest(text) + "\n" + text)


def load(where: Path) -> Optional[SuiteMap]:
    """None if there is none. ValueError if what is there cannot be used."""
    try:
        text = where.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(str(error.strerror)) from error
    digest, _, rest = text.partition("\n")
    if digest != _digest(rest):
        raise ValueError("it is not a map, or damaged")
    first, _, second = rest.partition("\n")
    head = json.loads(first)
    if head.pop("version") != VERSION:
        raise ValueError("it is of another version of umthp")
    return SuiteMap(**head, body=second)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def candidates(trees: Path, home: Path) -> List[Path]:
    """Where a map may be: of the tree itself, then of the others, the newest first."""
    def age(found: Path) -> float:
        try:
            return -found.stat().st_mtime
        except OSError:
            return 0.0
    others = sorted((found for found in trees.glob("*/" + NAME) if found.parent != home), key=age)
    return [path(home), *others]
