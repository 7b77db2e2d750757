# SPDX-License-Identifier: GPL-2.0
"""Why did Kconfig drop an option: its own `depends on` lines, and which of them are not met."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, List, Tuple

_CONFIG = re.compile(r"^\s*(?:menu)?config\s+(\w+)\s*$")
_DEPENDS = re.compile(r"^\s*depends\s+on\s+(.*)$")
_IF = re.compile(r"^if\s+(.*)$")
_SELECT = re.compile(r"^\s*(?:select|imply)\s+(\w+)(?:\s+if\s+(.*))?$")
_TOKEN = re.compile(r"\s*(\|\||&&|!=|<=|>=|[=<>!()]|\"[^\"]*\"|'[^']*'|[\w.$-]+|\$\([^)]*\))")
# Kconfig files of other architectures say nothing about this one.
_SKIP = re.compile(r"^arch/(?!um|x86/um|Kconfig)|^Documentation/")


class Dependencies:
    """The conditions of every option of a tree, against one .config."""

    def __init__(self, src: Path, have: Dict[str, str]) -> None:
        self.have = have
        self.conditions: Dict[str, List[Tuple[str, str]]] = {}
        self.selectors: Dict[str, List[str]] = {}
        for directory, subdirectories, files in os.walk(src):
            relative = os.path.relpath(directory, src)
            if _SKIP.match(relative + "/"):
                subdirectories[:] = []
                continue
            for name in files:
                if name.startswith("Kconfig"):
                    self._read(Path(directory, name), os.path.join(relative, name))

    def _read(self, path: Path, name: str) -> None:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
        current = ""
        outer: List[str] = []
        in_help = False
        for line in text.splitlines():
            if in_help and (not line.strip() or line[0] in " \t"):
                continue
            in_help = False
            if match := _CONFIG.match(line):
                current = match.group(1)
                self.conditions.setdefault(current, []).extend((cond, name) for cond in outer)
                self.conditions[current].append(("y", name))
            elif match := _IF.match(line):
                outer.append(match.group(1))
            elif line.startswith("endif") and outer:
                outer.pop()
            elif re.match(r"^(menu|choice|endmenu|endchoice|comment|source)\b", line):
                current = ""
            elif re.match(r"^\s*(help|---help---)\s*$", line):
                in_help = True
            elif current and (match := _DEPENDS.match(line)):
                self.conditions[current].append((match.group(1).split("#")[0].strip(), name))
            elif current and (match := _SELECT.match(line)):
                self.selectors.setdefault(match.group(1), []).append(current)

    def explain(self, option: str, value: str) -> str:
        """One clause for people; never empty."""
        if option not in self.conditions:
            return "no Kconfig file of ARCH=um has this option"
        if value == "n":
            by = [name for name in self.selectors.get(option, [])
                  if self.have.get(name) in ("y", "m")]
            return "selected by " + ", ".join(by) if by else "its default or a choice set it"
        unmet = []
        for condition, name in self.conditions[option]:
            try:
                holds = self._evaluate(condition)
            except ValueError:
                continue
            if not holds:
                states = ", ".join("%s=%s" % (symbol, self.have.get(symbol, "n")) for symbol in
                                   dict.fromkeys(re.findall(r"\b[A-Z][A-Z0-9_]+\b", condition)))
                unmet.append("unmet dependency `%s` (%s: %s)" % (condition, name, states))
        return "; ".join(unmet) or "its prompt is not visible, or a choice has another value"

    def _evaluate(self, text: str) -> bool:
        tokens = _TOKEN.findall(text)
        if "".join(tokens).replace(" ", "") != re.sub(r"\s", "", text):
            raise ValueError(text)
        position = 0

        def peek() -> str:
            return tokens[position] if position < len(tokens) else ""

        def take() -> str:
            nonlocal position
            position += 1
            return tokens[position - 1]

        def either() -> bool:
            result = both()
            while peek() == "||":
                take()
                result = both() or result
            return result

        def both() -> bool:
            result = term()
            while peek() == "&&":
                take()
                result = term() and result
            return result

        def term() -> bool:
            if peek() == "!":
                take()
                return not term()
            if peek() == "(":
                take()
                result = either()
                if not peek():
                    raise ValueError(text)
                take()
                return result
            left = self._value(take() if peek() else "")
            if peek() in ("=", "!="):
                equal = take() == "="
                return (left == self._value(take() if peek() else "")) is equal
            if peek() in ("<", ">", "<=", ">="):
                raise ValueError(text)
            return left in ("y", "m")

        result = either()
        if peek():
            raise ValueError(text)
        return result

    def _value(self, token: str) -> str:
        if not token or token.startswith("$"):
            raise ValueError(token)
        if token in ("y", "m", "n") or token[0] in "\"'" or token[0].isdigit():
            return token.strip("\"'")
        return self.have.get(token, "n").strip('"')
