# SPDX-License-Identifier: GPL-2.0
"""What gcov counted in one boot: per source file and line, how often, and each branch.

The instrumented kernel writes one .gcda an object when it ends (libgcov of the host, which
ARCH=um links to). GCOV_PREFIX sends them to a directory of the boot's own, so that no count is
left over from another boot and several boots can run at once.
"""
from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Container, Dict, Iterable, Iterator, List, Set

from .errors import HostError
from .git import clean_env
from .process import run


@dataclass
class Line:
    """Executions of one source line; branches: executions of each arc that leaves it."""

    count: int = 0
    branches: List[int] = field(default_factory=list)


# path below the top of the kernel tree -> line number -> counts
Counts = Dict[str, Dict[int, Line]]


def environment(data: Path, build: Path) -> Dict[str, str]:
    """For a boot: its .gcda files go below `data`, with their paths below the build directory."""
    return {"GCOV_PREFIX": str(data), "GCOV_PREFIX_STRIP": str(len(build.parts) - 1)}


def instrumented(variables: Iterable[str]) -> Set[str]:
    """The objects that make variables instrument, by name without the directory and the .o."""
    return {match.group(1) for match in (re.match(r"CFLAGS_(.+)\.o=", word) for word in variables)
            if match}


def read(src: Path, build: Path, data: Path, objects: Container[str], log: Path,
         branches: bool = True) -> Counts:
    """The counts of these objects, from the boot that wrote to `data`. HostError if there are none.

    What else was counted (CONFIG_GCOV is for all of the host side of arch/um) is removed.
    """
    gcda = []
    for written in sorted(data.rglob("*.gcda")):
        if written.stem not in objects:
            written.unlink()
            continue
        # gcov wants the .gcno next to it.
        beside = written.with_suffix(".gcno")
        if not beside.is_symlink():
            beside.symlink_to(build / beside.relative_to(data))
        gcda.append(written)
    if not gcda:
        raise HostError("the kernel ended without writing its counts (.gcda)",
                        "see how it ended; a kernel that panics or is killed writes none", log)
    argv = ["gcov", "--json-format", "--stdout",
            *(["--branch-probabilities"] if branches else []), *gcda]
    done = run(argv, cwd=data, env=clean_env())
    if done.returncode:
        raise HostError("gcov failed: %s" % done.stderr.decode("utf-8", "replace").strip(),
                        "gcov and gcc must be of one version: apt install --reinstall gcc", log)
    return parse(done.stdout.decode("utf-8", "replace"), src)


def parse(text: str, src: Path) -> Counts:
    """gcov's JSON, one document a line (one of each object), put together for the files of src."""
    counts: Counts = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            for path, lines in _files(document, str(src) + "/"):
                _merge(counts.setdefault(path, {}), lines)
        except (ValueError, KeyError, TypeError) as error:
            raise HostError("gcov's output is not understood (document %d: %s)" % (number, error),
                            "gcc 9 or newer is needed") from error
    return counts


def _files(document: Dict[str, Any], top: str) -> "Iterator[tuple[str, Dict[int, Line]]]":
    for entry in document["files"]:
        path = os.path.normpath(os.path.join(document["current_working_directory"], entry["file"]))
        if not path.startswith(top):
            continue
        lines: Dict[int, Line] = {}
        for record in entry["lines"]:
            # Copies of one line within an object: what it counts adds up, each has its arcs.
            line = lines.setdefault(record["line_number"], Line())
            line.count += record["count"]
            line.branches += [branch["count"] for branch in record.get("branches", ())]
        yield path[len(top):], lines


def _merge(into: Dict[int, Line], lines: Dict[int, Line]) -> None:
    """Add the counts of another object: an inline function of a header is in many."""
    for number, line in lines.items():
        have = into.setdefault(number, Line())
        have.count += line.count
        have.branches = [a + b for a, b in zip_longest(have.branches, line.branches, fillvalue=0)]
