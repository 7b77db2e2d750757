# SPDX-License-Identifier: GPL-2.0
"""Where each function of a kernel source file begins and ends.

gcov knows only functions that it has seen as functions: one that was inlined everywhere has no
record. So the source decides, by the kernel's own style: the body's braces stand in column 0.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Sequence

# Words before a parenthesis in front of the name of a function that are not its name.
_NO_NAME = ("__printf", "__attribute__", "__aligned", "__section", "__releases", "__acquires",
            "__must_hold", "typeof", "__typeof__", "if", "while", "for", "switch", "defined")
_WORD = re.compile(r"(\w+)\s*\(")
_DEFINE = re.compile(r"^(?:COMPAT_)?SYSCALL_DEFINE\d\((\w+)")
# A comment, or a string or character that may look like one.
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


@dataclass(frozen=True)
class Extent:
    """Lines of one definition, from 1; first is where its name stands or the type before it."""

    name: str
    first: int
    last: int


def without_comments(text: str) -> str:
    """The same lines, with blanks in the place of comments."""
    def blank(match: "re.Match[str]") -> str:
        found = match.group()
        return re.sub(r"[^\n]", " ", found) if found.startswith("/") else found
    return _COMMENT.sub(blank, text)


def functions(text: str) -> List[Extent]:
    """Every function definition, in the order of the file.

    A name may come twice: the two sides of an #ifdef.
    """
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = _head(lines, number)
        name = _name(" ".join(lines[first:number]))
        if name is None:
            continue
        last = next((at for at in range(number + 1, len(lines)) if lines[at].startswith("}")),
                    len(lines) - 1)
        found.append(Extent(name, first + 1, last + 1))
    return found


def _head(lines: Sequence[str], brace: int) -> int:
    """The first line of the definition whose body opens in line `brace`."""
    at = brace
    while at > 0:
        above = lines[at - 1].rstrip()
        if not above or above.endswith((";", "}", "*/", ":")) or above[0] in "#{}":
            break
        at -= 1
    return at


def _name(head: str) -> Optional[str]:
    match = _DEFINE.match(head)
    if match:
        return match.group(1)
    if re.match(r"(?:static |const |extern )*(?:struct|union|enum) \w+ *(?:\w+ *)?(?:\[.*\])? *=?$",
                head):
        return None
    for match in _WORD.finditer(head):
        if match.group(1) not in _NO_NAME:
            return match.group(1)
    return None
