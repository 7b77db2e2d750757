# SPDX-License-Identifier: GPL-2.0
"""umthp export --upstream DIR: the series and the suites as patches for the lists.

The patches are made by git format-patch from commits in a throw-away repository, on the commit or
tree that the command line means. Nothing of the user's repository is written.
"""
from __future__ import annotations

import argparse
import os
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from . import export_check, overlay, series
from .cache import make_dir
from .console import printable
from .context import ROOT, Context
from .errors import (EXIT_FAIL, EXIT_PASS, HostError, SeriesError, UmthpError, UsageError)
from .export_plan import Sources, Stage, filled
from .export_repository import Commit, Content, Patches, Person, Repository
from .git import GitFailed, user_git
from .kernels import load_toml, parse_version
from .private_dir import private_dir
from .process import quoted
from .shadow import ALREADY_THERE, Prepared
from .source import Directory

DESCRIPTION = (
    "Write the arch/um series and the suites as patches with cover letters, one directory for each "
    "mailing list: git am of them gives the tree that umthp tests, without what is there for older "
    "kernels. They are based on HEAD of the git tree, or on --rev; for a base-commit that others "
    "know, use a clone of the list's branch. checkpatch --strict judges each.")
TABLE = "upstream.toml"
# Author and signature of the patches in um_config: whoever sends them must sign them.
OWN = re.compile(r"umthp developers <[^>]*>")
_IDENTITY = re.compile(r"([^<>\n]+) <([^<>\s]+@[^<>\s]+)>\Z")

Table = Dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upstream", metavar="DIR", required=True,
                        help="a new or empty directory")
    parser.add_argument("--author", metavar="'NAME <MAIL>'",
                        help="who sends and signs the patches (default: git's user.name)")


def main(args: argparse.Namespace, context: Context) -> int:
    target = Path(os.path.realpath(args.upstream))
    _check_target(target, context)
    lists = _tables(context)
    sender = _sender(args.author, context)
    with context.tree() as prepared:
        if args.dry_run:
            for table in lists:
                context.console.say("$ " + quoted(["git", "format-patch", "--cover-letter",
                                                   "--signoff", "-o", target / table["directory"]]))
            return EXIT_PASS
        _check_version(prepared, context)
        base = _base(context, prepared)
        with private_dir(make_dir(context.cache / "export")) as directory:
            repository = Repository(directory, prepared, sender)
            out = directory / "out"
            written = _write(repository, lists, base, prepared, context, out)
            left_out = [name for table in lists for name in table.get("not_upstream", ())]
            export_check.names(out, left_out)
            export_check.same_tree(repository, prepared, context.layout.um_config, lists)
            bad = export_check.checkpatch(out, prepared, context)
            _deliver(out, target)
    for table, count in written:
        context.console.say("%s: %d patches" % (
            printable(os.path.join(args.upstream, table["directory"])), count))
    if base is None:
        context.console.note("no base-commit: %s is not a commit of git; --kernel PATH with a "
                             "clone of the list's branch gives one" % prepared.described)
    if bad:
        context.console.warning("%d complaints of checkpatch" % bad)
    return EXIT_FAIL if bad else EXIT_PASS


def _check_target(target: Path, context: Context) -> None:
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError("%s is not an empty directory" % target, "give a new directory")
    except OSError as error:
        raise HostError("cannot read %s: %s" % (target, error.strerror),
                        "give another directory") from error
    source = context.source()
    if isinstance(source, Directory):
        top = Path(os.path.realpath(source.path))
        if top == target or top in target.parents:
            raise UsageError("%s is in the kernel tree %s, which umthp never writes to"
                             % (target, top), "give a directory outside of it")


def _tables(context: Context) -> List[Table]:
    """upstream.toml: one table for each mailing list, the series first."""
    path = context.layout.um_config / TABLE
    try:
        tables: List[Table] = list(load_toml(path).values())
        for table in tables:
            for key in ("directory", "to", "cc", "subject", "cover"):
                table[key]  # pylint: disable=pointless-statement
            table["stage"] = [Stage(**stage) for stage in table.get("stage", ())]
        return tables
    except OSError as error:
        raise UsageError("cannot read %s: %s" % (path, error.strerror),
                         "restore it from git") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("%s is not valid: %s" % (path, error), "correct the file") from error


def _sender(given: Optional[str], context: Context) -> Person:
    """Who signs: the Developer's Certificate of Origin is for the sender to give."""
    options = ["-c", "user.useConfigOnly=true"]
    malformed = UsageError("%s is not of the form NAME <MAIL>" % given,
                           "--author 'Jane Doe <jane@example.com>'")
    if given is not None:
        match = _IDENTITY.match(given)
        if match is None:
            raise malformed
        options += ["-c", "user.name=" + match.group(1), "-c", "user.email=" + match.group(2)]
    source = context.source()
    try:
        # git has an opinion on dots and blanks at the ends of a name.
        found = user_git(source.path if isinstance(source, Directory) else ROOT, *options, "var",
                         "GIT_AUTHOR_IDENT").decode("utf-8", "replace").strip()
    except GitFailed as error:
        if given is not None:
            raise malformed from error
        raise UsageError("git does not know who you are, and the patches need a signature",
                         "--author 'NAME <MAIL>', or git config --global user.name and "
                         "user.email") from error
    match = re.match(r"([^<>\n]+) <([^<>\s]+)> \d+ [+-]\d+$", found)
    if match is None:
        raise UsageError("git's user.name and user.email give `%s`" % found,
                         "--author 'NAME <MAIL>', or correct them")
    return Person(match.group(1), match.group(2))


def _check_version(prepared: Prepared, context: Context) -> None:
    if prepared.note == ALREADY_THERE:
        raise SeriesError("%s has the series already: there is nothing to export"
                          % prepared.described, "--rev REV, a commit without it")
    newest = max((kernel.min for kernel in context.support.kernels), key=parse_version)
    if parse_version(prepared.version) < parse_version(newest):
        raise SeriesError("%s is %s: what is exported is for %s and newer, without what older "
                          "kernels need" % (prepared.described, prepared.version, newest),
                          "--kernel with a newer tree, or --kernel %s" % newest)


def _base(context: Context, prepared: Prepared) -> Optional[str]:
    """The commit that the tree is, if it is one."""
    source = context.source()
    if not isinstance(source, Directory):
        return None
    try:
        commit = user_git(source.path, "rev-parse", "--verify", "--quiet", "--end-of-options",
                          (source.rev or "HEAD") + "^{commit}").decode().strip()
        tree = user_git(source.path, "rev-parse", commit + "^{tree}").decode().strip()
    except GitFailed:
        return None
    if tree != prepared.source_tree:
        raise UsageError("%s has changes that are in no commit: the patches would not apply to any"
                         % source.path, "commit them, or use --rev HEAD")
    return commit


def _write(repository: Repository, lists: List[Table], base: Optional[str], prepared: Prepared,
           context: Context, out: Path) -> List[Tuple[Table, int]]:
    """Commit and format what each list gets; how many patches those are."""
    repository.start(prepared.source_tree, base)
    files = _files_of_each(lists, context)
    written = []
    for table in lists:
        context.console.status("export", "patches for %s" % table["directory"])
        commits = _suites(repository, prepared, context, table, files[table["files"]]) \
            if "files" in table else _series(repository, prepared, context)
        start = repository.tip
        repository.commit(commits, table["directory"])
        if commits:
            _format(repository, start, table, base, out / table["directory"], prepared)
            written.append((table, len(commits)))
    return written


def _series(repository: Repository, prepared: Prepared, context: Context) -> List[Commit]:
    """The patches of um_config, without what only older kernels need."""
    patches = [patch for patch in series.Series(context.layout.um_config, prepared.version).patches
               if patch.upstream]
    applied = Patches(repository, prepared.source_tree, patches)
    commits = []
    for patch in patches:
        try:
            files = applied.apply(patch)
        except GitFailed as error:
            if applied.have(patch):
                context.console.note("already in this tree: %s" % patch.subject)
                continue
            last = error.stderr.strip().splitlines()[-1:]
            raise SeriesError("%s does not apply without the patches that are marked %s: %s" % (
                patch.path.name, series.NOT_UPSTREAM, "".join(last)),
                "let those come last in um_config/series") from error
        if not files:
            # A merge that changes nothing.
            context.console.note("already in this tree: %s" % patch.subject)
            continue
        message, author = _message(repository, patch)
        commits.append(Commit(message, files, author))
    return commits


def _message(repository: Repository, patch: series.Patch) -> Tuple[str, Optional[Person]]:
    """Message and author of a patch, without the project's own signature."""
    text = repository.directory / "message"
    info = repository.git.text("mailinfo", text, os.devnull, data=patch.path.read_bytes())
    fields = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    author = Person(*(re.sub(r"[<>\n]", "", fields.get(key, "")) for key in ("Author", "Email")))
    lines = [line for line in text.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
             if not (line.startswith("Signed-off-by: ") and OWN.search(line))]
    message = "%s\n\n%s" % (fields["Subject"], "\n".join(lines).strip("\n"))
    return message, None if not author.mail or OWN.match(str(author)) else author


def _files_of_each(lists: List[Table], context: Context) -> Dict[str, Dict[str, str]]:
    """The files of kunit/, by their directory and name; each must be one that a list has."""
    found: Dict[str, Dict[str, str]] = {table["files"]: {} for table in lists if "files" in table}
    for path, content in overlay.new_files(context.layout.kunit).items():
        folder, _, name = path.rpartition("/")
        if folder not in found:
            raise UsageError("no patch takes kunit/%s: it is in none of %s"
                             % (path, ", ".join(found) or "no directory"),
                             "give its directory a table in um_config/%s, with files = \"%s\""
                             % (TABLE, folder))
        found[folder][name] = content.decode("utf-8", "surrogateescape")
    return found


def _suites(repository: Repository, prepared: Prepared, context: Context, table: Table,
            texts: Dict[str, str]) -> List[Commit]:
    """The files of one directory: what its stages say, then one suite a patch."""
    folder = table["files"]
    for name in ("Kconfig", "Makefile"):
        if name not in texts:
            raise UsageError("kunit/%s has no %s" % (folder, name), "restore it from git")
    sources = Sources(texts, table.get("not_upstream", ()))
    there: Set[str] = set()
    commits = []
    for number, step in enumerate(sources.plan(table["stage"])):
        there.update(step.files)
        texts = {**{name: sources.files[name] for name in step.files},
                 "Makefile": sources.makefile(there), "Kconfig": sources.kconfig(there)}
        files: Dict[str, Content] = {
            "%s/%s" % (folder, name): text.encode("utf-8", "surrogateescape")
            for name, text in texts.items()}
        if number == 0:
            hooked: series.Entries = {}
            overlay.add_hooks(repository.git, prepared.source_tree, tuple(
                hook for hook in context.support.hooks
                if os.path.dirname(hook.file) == os.path.dirname(folder)), hooked)
            files.update(hooked)
        commits.append(Commit("%s\n\n%s" % (step.subject, step.body), files))
    return commits


def _format(repository: Repository, start: str, table: Table, base: Optional[str], folder: Path,
            prepared: Prepared) -> None:
    """git format-patch; its cover letter gets its text."""
    options = ["--to=" + to for to in table["to"]] + ["--cc=" + cc for cc in table["cc"]]
    if base:
        options.append("--base=" + base)
    cover = repository.format(start, folder, options)[0]
    words = table["cover"]
    if base is None:
        words += "\n\nBased on Linux %s." % prepared.version
    text = cover.read_text(encoding="utf-8", errors="surrogateescape")
    for mark, value in (("*** SUBJECT HERE ***", table["subject"]),
                        ("*** BLURB HERE ***", filled(words))):
        if mark not in text:
            raise UmthpError("git's cover letter has no %s" % mark, "use another version of git")
        text = text.replace(mark, value)
    cover.write_text(text, encoding="utf-8", errors="surrogateescape")


def _deliver(out: Path, target: Path) -> None:
    """Copy to where the user wants it: all, or nothing."""
    made: List[Path] = []
    try:
        for path in _missing(target):
            path.mkdir()
            made.append(path)
        for folder in sorted(out.iterdir()):
            made.append(target / folder.name)
            shutil.copytree(folder, made[-1])
    except BaseException as error:
        for path in reversed(made):
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise HostError("cannot write to %s: %s" % (target, error.strerror or error),
                            "give another directory") from error
        raise


def _missing(target: Path) -> Iterator[Path]:
    """The directories down to the target that do not exist, the upper ones first."""
    for path in [*reversed(target.parents), target]:
        if not path.exists():
            yield path
