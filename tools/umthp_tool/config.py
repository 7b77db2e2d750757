# SPDX-License-Identifier: GPL-2.0
"""The kernel configuration: kunitconfig + the tree's arch_uml.config + the variant's fragment.

Merged and checked with the kernel's own kunit_config module from the tree under test, so that
kunit.py and umthp mean the same by the same file.
"""
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, List, Tuple

from .cache import read_json, write_json
from .console import Console
from .errors import ConfigError, UsageError
from .git import EMPTY_TREE, GitFailed
from .kconfig_deps import Dependencies
from .kunit_modules import kunit_module
from .shadow import Layout, Prepared

ARCH_UML = "tools/testing/kunit/configs/arch_uml.config"
DEFAULT = "default"

# A change of these can change what olddefconfig answers.
_KCONFIG_INPUT = re.compile(r"(^|/)Kconfig[^/]*$|^scripts/(kconfig/|Kbuild|Makefile)|^Makefile$"
                            r"|(^|/)configs/|^scripts/.*\.(sh|include)$|^init/Kconfig")


@dataclass(frozen=True)
class Variant:
    """A named configuration: the default, or the default with a fragment on top."""

    name: str
    files: Tuple[Path, ...]


def variants(layout: Layout) -> List[str]:
    return [DEFAULT] + sorted(path.stem for path in
                              (layout.um_config / "fragments").glob("*.config"))


def variant(layout: Layout, name: str) -> Variant:
    known = variants(layout)
    if name not in known:
        raise UsageError("there is no variant %s" % name, "one of: " + ", ".join(known))
    files = [layout.kunitconfig]
    if name != DEFAULT:
        files.append(layout.um_config / "fragments" / (name + ".config"))
    return Variant(name, tuple(files))


def wanted(prepared: Prepared, chosen: Variant) -> Any:
    """The options asked for, later files winning (the rules of merge_config.sh)."""
    module = kunit_module(prepared.src, "kunit_config")
    merged = module.Kconfig()
    for path in (prepared.src / ARCH_UML, *chosen.files):
        try:
            merged.merge_in_entries(module.parse_file(str(path)))
        except OSError as error:
            raise ConfigError("cannot read %s: %s" % (path, error.strerror),
                              "restore the file from git") from error
        except module.KconfigParseError as error:
            raise ConfigError("%s: %s" % (path, error), "correct the line") from error
    return merged


def digest(options: Any) -> str:
    """Names a set of options."""
    text = "\n".join(sorted(str(entry) for entry in options.as_entries()))
    return hashlib.sha256(text.encode()).hexdigest()


def needs_configuring(prepared: Prepared, build: Path, options: Any) -> bool:
    """Is .config older than the options or than any Kconfig file of the tree?"""
    stamp = read_json(build / "umthp-config.json")
    if not (build / ".config").exists() or stamp.get("options") != digest(options):
        return True
    last = stamp.get("tree") or EMPTY_TREE
    if last == prepared.tree:
        return False
    try:
        names = prepared.git("diff-tree", "-r", "--name-only", "-z", last, prepared.tree)
    except GitFailed:
        # Objects of the last tree are gone: it cannot be compared with.
        return True
    return any(_KCONFIG_INPUT.search(name)
               for name in names.decode("utf-8", "surrogateescape").split("\0"))


def write_wanted(build: Path, options: Any) -> None:
    """Start .config from the wanted options alone, as kunit.py does; olddefconfig fills it up."""
    path = build / ".config"
    path.unlink(missing_ok=True)
    (build / "umthp-config.json").unlink(missing_ok=True)
    options.write_to_file(str(path))


def mark_configured(prepared: Prepared, build: Path, options: Any) -> None:
    write_json(build / "umthp-config.json", {"options": digest(options), "tree": prepared.tree})


def check(prepared: Prepared, build: Path, options: Any, console: Console) -> None:
    """Every wanted option must have its value in .config; else say what it depends on."""
    module: ModuleType = kunit_module(prepared.src, "kunit_config")
    path = build / ".config"
    made = module.parse_file(str(path))
    if options.is_subset_of(made):
        return
    have = {entry.name: entry.value for entry in made.as_entries()}
    lines = []
    console.status("config", "looking for unmet dependencies")
    dependencies = Dependencies(prepared.src, have)
    for entry in sorted(options.as_entries(), key=lambda entry: str(entry.name)):
        got = have.get(entry.name, "n")
        if got != entry.value:
            lines.append("CONFIG_%s=%s became %s: %s" % (
                entry.name, entry.value, got, dependencies.explain(entry.name, entry.value)))
    raise ConfigError("%d option%s that the configuration asks for %s dropped by Kconfig:\n%s" % (
        len(lines), "s" * (len(lines) > 1), "were" if len(lines) > 1 else "was",
        "\n".join(lines)),
        "enable what is missing in the kunitconfig or fragment, or take the option out", path)
