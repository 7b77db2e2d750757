# SPDX-License-Identifier: GPL-2.0
"""Which files of kunit/ go into which patch, so that each patch builds alone.

A file goes in with the first patch that cannot be linked or compiled without it. What a file needs
is read off the sources: names that another one defines and a header declares, and the headers it
includes. What nobody calls, an initcall, goes in with the first suite of its list in the Makefile.
The Makefile and the Kconfig file grow with the files: lines of what is not there yet are left out.
"""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Dict, Iterable, List, Mapping, Sequence, Set, Tuple

from .errors import UsageError

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_OBJECTS = re.compile(r"^obj-\$\((CONFIG_\w+)\) \+= *(.*)$")
# What a header gives to whoever includes it; a name, and the text behind it.
_MACRO = re.compile(r"^#\s*define\s+(\w+)((?:[^\n]*\\\n)*[^\n]*)", re.M)
_INLINE = re.compile(r"^static inline\b[^;{}]*?\b(\w+)\s*\([^;{}]*\)\s*\{(.*?)^\}", re.M | re.S)
_HEAD = re.compile(r"//[^\n]*\n/\*\n(.*?)\*/", re.S)
_GENERATED = ("Kconfig", "Makefile")
_SUITE = "_kunit.c"


class PlanError(UsageError):
    """The files cannot be divided into patches."""


@dataclass(frozen=True)
class Step:
    """One patch: the files that it adds, by name, and its message."""

    subject: str
    body: str
    files: Tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    files: str
    subject: str = ""
    body: str = ""


class Sources:
    """The files of one directory, as they go upstream."""

    def __init__(self, files: Mapping[str, str], left_out: Sequence[str]) -> None:
        """files: text by name. left_out: headers that nobody has upstream."""
        self.files: Dict[str, str] = {}
        for name, text in files.items():
            if name not in left_out:
                for header in left_out:
                    text = text.replace('#include "%s"\n' % header, "")
                self.files[name] = text
        code = {name: _COMMENT.sub(" ", text) for name, text in self.files.items()
                if name.endswith((".c", ".h"))}
        declared = {word for name, text in code.items() if name.endswith(".h")
                    for word in _WORD.findall(text)}
        self._behind = {name: set(_WORD.findall(text)) for header, content in code.items()
                        if header.endswith(".h") for pattern in (_MACRO, _INLINE)
                        for name, text in pattern.findall(content)}
        self._defined: Dict[str, str] = {}
        for name, text in code.items():
            # Nobody calls a suite.
            if name.endswith(".c") and not name.endswith(_SUITE):
                for word in definitions(text) & declared:
                    self._defined[word] = name
        self._needs = {name: self._needed(name, text) for name, text in code.items()}

    def _needed(self, name: str, code: str) -> Set[str]:
        words: Set[str] = set()
        pending = _WORD.findall(code) if name.endswith(".c") else []
        while pending:
            word = pending.pop()
            if word not in words:
                words.add(word)
                pending += self._behind.get(word, ())
        needed = {self._defined[word] for word in words if word in self._defined}
        # The comments are gone from code, the strings are not.
        needed |= {header for header in _INCLUDE.findall(code) if header in self.files}
        return needed - {name}

    def closure(self, names: Iterable[str], there: Set[str]) -> List[str]:
        """These files and everything they need that is not there yet, sorted."""
        found: Set[str] = set()
        pending = [name for name in names if name not in there]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += [need for need in self._needs.get(name, ()) if need not in there]
        return sorted(found)

    def plan(self, stages: Sequence[Stage]) -> List[Step]:
        """All steps; together they hold every file but the two that grow with them."""
        steps: List[Step] = []
        there: Set[str] = set()
        gone = [name for name in self.objects() if name not in self.files]
        if gone:
            raise PlanError("the Makefile builds what is not there: %s" % ", ".join(gone),
                            "take it out of the Makefile, or restore it from git")
        uncalled = self._uncalled([stage for stage in stages if stage.subject])

        def add(subject: str, body: str, names: Iterable[str]) -> None:
            files = tuple(self.closure(names, there))
            if files:
                steps.append(Step(subject, filled(body), files))
                there.update(files)

        def add_suite(name: str) -> None:
            if name not in there:
                files = self.closure([name, *uncalled.get(self._list_of(name), ())], there)
                add("mm/tests: add the suite %s" % name[:-len(_SUITE)],
                    self._body(name, files), files)

        for stage in stages:
            mine = [name for name in self.objects() if fnmatchcase(name, stage.files)]
            if stage.subject:
                add(stage.subject, stage.body,
                    [name for name in mine if not name.endswith(_SUITE)])
            else:
                for name in mine:
                    add_suite(name)
        for name in self._suites():
            add_suite(name)
        rest = sorted(set(self.files) - there - set(_GENERATED))
        late = [name for name in rest if name.startswith(".")]
        if len(rest) > len(late):
            raise PlanError("no patch takes %s" % ", ".join(
                name for name in rest if name not in late),
                "a .c file must be in the Makefile beside it, and a header included by a file "
                "that is; or delete what nobody needs")
        # What is no source, .kunitconfig, goes with the first patch that has all of Kconfig.
        whole = [number for number in range(len(steps)) if self.files["Kconfig"]
                 == self.kconfig({name for step in steps[:number + 1] for name in step.files})]
        if not whole or self.makefile(there) != self.files["Makefile"]:
            raise PlanError("%s is not what its parts give together"
                            % ("Makefile" if whole else "Kconfig"),
                            "one empty line between the parts, none at the end, no comment behind "
                            "them, and an object for each entry of Kconfig")
        first = steps[whole[0]]
        steps[whole[0]] = replace(first, files=tuple(sorted((*first.files, *late))))
        return steps

    def _suites(self) -> List[str]:
        return [name for name in self.objects() if name.endswith(_SUITE)]

    def _uncalled(self, stages: Sequence[Stage]) -> Dict[int, List[str]]:
        """The objects that nothing needs, by the list of the Makefile that they are in."""
        called = set(self.closure([*self._suites(), *(
            name for name in self.objects() for stage in stages
            if fnmatchcase(name, stage.files))], set()))
        found: Dict[int, List[str]] = {}
        for name in self.objects():
            if name not in called:
                found.setdefault(self._list_of(name), []).append(name)
        return found

    def _list_of(self, name: str) -> int:
        """The number of the paragraph of the Makefile that has this object."""
        return next(number for number, block in enumerate(self._blocks())
                    if name in _objects(block))

    def _body(self, name: str, files: Sequence[str]) -> str:
        body = heading(name, self.files[name])
        helpers = [other[:-2] for other in files if other.endswith(".c") and other != name]
        if helpers:
            body += "\n\nWith the helpers that it is the first to need: %s." % ", ".join(helpers)
        return body

    def _blocks(self) -> List[str]:
        return self.files["Makefile"].split("\n\n")

    def objects(self) -> List[str]:
        """The .c files of the Makefile, in its order."""
        return _objects(self.files["Makefile"])

    def makefile(self, there: Set[str]) -> str:
        """The Makefile with the lines of these files only."""
        blocks = []
        for block in self._blocks():
            kept = _block(block.rstrip("\n").split("\n"), there)
            if kept:
                blocks.append("\n".join(kept))
        return "\n\n".join(blocks) + "\n"

    def kconfig(self, there: Set[str]) -> str:
        """The Kconfig file with the entries that one of these files is built by."""
        symbols = {match.group(1)[len("CONFIG_"):] for match in map(
            _OBJECTS.match, self.makefile(there).split("\n")) if match}
        entries = re.split(r"\n(?=config )", self.files["Kconfig"].rstrip("\n"))
        kept = [entry.rstrip("\n") for entry in entries
                if not entry.startswith("config ") or entry.split()[1] in symbols]
        return "\n\n".join(kept) + "\n"


def definitions(code: str) -> Set[str]:
    """Names of the functions and variables that other files can use; code without comments."""
    found = set(re.findall(r"^DEFINE_\w+\((\w+)", code, re.M))
    for line in code.split("\n"):
        if not line or not (line[0].isalpha() or line[0] == "_") or line.startswith("static "):
            continue
        head = re.split(r"[(=\[;]", line, 1)[0].split()
        # A type alone in its line: the name is in the next one, in column 0 as well.
        if head:
            found.add(head[-1].lstrip("*"))
    return found


def _objects(makefile: str) -> List[str]:
    return [word[:-2] + ".c" for word in re.findall(r"(?<![\w/-])[\w-]+\.o\b", makefile)]


def heading(name: str, text: str) -> str:
    """The comment at the top of a file as the text of a commit message."""
    match = _HEAD.match(text)
    if match is None:
        raise PlanError("%s has no comment at its top, which would be the text of its patch" % name,
                        "say what the suite tests, below the line with the license")
    lines = [re.sub(r"^ \* ?", "", line) for line in match.group(1).split("\n")[:-1]]
    return filled("\n".join(lines))


def filled(text: str) -> str:
    """Paragraphs of 72 columns; what is indented stays as it is."""
    return "\n\n".join(
        paragraph.replace("\t", "  ") if paragraph[:1] in "\t " else textwrap.fill(
            " ".join(paragraph.split()), 72, break_long_words=False, break_on_hyphens=False)
        for paragraph in text.strip("\n").split("\n\n"))


def _block(lines: Sequence[str], there: Set[str]) -> List[str]:
    """A paragraph of the Makefile; nothing if none of its objects is there."""
    kept: List[str] = []
    objects = False
    for line in lines:
        names = _objects(line)
        if not there.issuperset(names):
            continue
        objects = objects or bool(names)
        kept.append(line)
    if not objects and _objects("\n".join(lines)):
        return []
    # The last object of a list has no backslash.
    for number, line in enumerate(kept):
        last = number + 1 == len(kept) or not kept[number + 1].startswith("\t")
        if line.startswith("\t") and last:
            kept[number] = line[:-2] if line.endswith(" \\") else line
    return kept
