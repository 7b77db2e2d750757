# SPDX-License-Identifier: GPL-2.0
"""A package from the machine's own Debian mirror, through a private apt setup.

Nothing of the system's apt is changed: sources, lists, archives and preferences are private
directories in the cache. The mirror and its key are those of the machine's own sources; only the
suite differs. apt itself verifies the signatures.
"""
from __future__ import annotations

import glob
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from .cache import make_dir, write_text
from .console import Console
from .errors import HostError
from .kernels import Kernel, parse_version
from .process import disk_full, no_space, quoted, run

OTHER_WAY = "fetch a kernel yourself and use --kernel PATH (git tree, plain tree or tarball)"


@dataclass(frozen=True)
class Mirror:
    uris: str
    signed_by: str      # a path, or a whole key block as deb822 has it; empty: apt's trusted keys


@dataclass(frozen=True)
class Candidate:
    package: str
    version: str
    suite: str


def system_codename(os_release: Path = Path("/etc/os-release")) -> Tuple[str, str]:
    """(ID, VERSION_CODENAME) of this machine."""
    fields: Dict[str, str] = {}
    try:
        for line in os_release.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition("=")
            fields[name] = value.strip("\"'")
    except OSError:
        pass
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def parse_deb822(text: str) -> List[Dict[str, str]]:
    """Stanzas of a .sources file; field names in lower case, continuation lines kept."""
    stanzas: List[Dict[str, str]] = [{}]
    field = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            stanzas.append({})
            field = ""
        elif line[0] in " \t":
            if field:
                stanzas[-1][field] += "\n" + line
        elif ":" in line:
            field, value = line.split(":", 1)
            field = field.strip().lower()
            stanzas[-1][field] = value.strip()
    return [stanza for stanza in stanzas if stanza]


def parse_one_line(text: str) -> List[Dict[str, str]]:
    """The same fields from one-line entries: deb [options] uri suite components..."""
    stanzas = []
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        kind, _, rest = line.partition(" ")
        rest = rest.strip()
        if kind not in ("deb", "deb-src"):
            continue
        options: Dict[str, str] = {}
        if rest.startswith("["):
            inside, closed, rest = rest[1:].partition("]")
            if not closed:
                continue
            for option in inside.split():
                name, _, value = option.partition("=")
                options[name.lower()] = value
        words = rest.split()
        if len(words) >= 2:
            stanzas.append({"types": kind, "uris": words[0], "suites": words[1],
                            "components": " ".join(words[2:]),
                            "signed-by": options.get("signed-by", "").replace(",", " "),
                            "enabled": "yes"})
    return stanzas


def find_mirrors(stanzas: Iterable[Dict[str, str]], codename: str) -> List[Mirror]:
    """The entries that carry Debian's main archive: binary, this release itself, main."""
    mirrors: List[Mirror] = []
    for stanza in stanzas:
        if stanza.get("enabled", "yes").lower() in ("no", "false", "0", "off"):
            continue
        if "deb" not in stanza.get("types", "").split():
            continue
        if "main" not in stanza.get("components", "").split():
            continue
        names = {codename, "stable", "testing", "unstable", "sid"}
        if not names & {suite.strip("/") for suite in stanza.get("suites", "").split()}:
            continue
        uris = " ".join(uri for uri in stanza.get("uris", "").split()
                        if not uri.startswith("cdrom:"))
        mirror = Mirror(uris, stanza.get("signed-by", ""))
        if uris and mirror not in mirrors:
            mirrors.append(mirror)
    return mirrors


def machine_stanzas(etc: Path = Path("/etc/apt")) -> List[Dict[str, str]]:
    stanzas: List[Dict[str, str]] = []
    files = sorted(glob.glob(glob.escape(str(etc / "sources.list.d")) + "/*.sources")) \
        + [str(etc / "sources.list")] \
        + sorted(glob.glob(glob.escape(str(etc / "sources.list.d")) + "/*.list"))
    for name in files:
        try:
            text = Path(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        stanzas += parse_deb822(text) if name.endswith(".sources") else parse_one_line(text)
    return stanzas


class AptSource:
    """The private apt of one package: one directory, one suite added at a time."""

    def __init__(self, directory: Path, console: Console, other_way: str = OTHER_WAY) -> None:
        """other_way: what to type when the package cannot be had."""
        self.dir = directory
        self.console = console
        self.other_way = other_way

    def newest(self, kernel: Kernel) -> Candidate:
        """The newest version of the package in the kernel's range, from the first suite with one.

        A pinned version leaves the archive when the next one arrives, so any point release in
        range will do.
        """
        if not shutil.which("apt-get"):
            raise HostError("no --kernel was given and this machine has no apt to fetch one with",
                            self.other_way)
        return self.find(kernel.package, kernel.suites,
                         lambda version: kernel.holds(parse_version(version)), kernel.min + ".x")

    def of_this_release(self, package: str) -> Candidate:
        """The newest version of a package that this machine could install."""
        if not shutil.which("apt-get"):
            raise HostError("%s is not installed, and this machine has no apt to fetch it with"
                            % package, self.other_way)
        return self.find(package, [system_codename()[1] or "stable"], lambda version: True)

    def find(self, package: str, suites: Sequence[str], holds: Callable[[str], bool],
             versions: str = "") -> Candidate:
        """The newest version that `holds`, from the first suite with one; `versions` names them."""
        distribution, codename = system_codename()
        mirrors = find_mirrors(machine_stanzas(), codename)
        if not mirrors or not codename and distribution != "debian":
            raise HostError("the apt sources of this machine name no Debian mirror (main of %s)"
                            % (codename or "this release"), self.other_way)
        failures: List[str] = []
        for suite in suites:
            failure = self._update(mirrors, suite)
            if failure:
                failures.append("%s: %s" % (suite, failure))
            found = self._newest_that(package, holds)
            if found:
                return Candidate(package, found, suite)
        if failures:
            raise HostError("cannot fetch the package lists that carry %s:\n%s"
                            % (package, "\n".join(failures)),
                            "check the network (apt-get update), or " + self.other_way,
                            self.dir / "update.log")
        raise HostError("%s is in none of the suites %s" % (
            " ".join(filter(None, (package, versions))), ", ".join(suites)), self.other_way)

    def download(self, candidate: Candidate) -> Path:
        """The .deb, verified by apt against the signed package list."""
        archives = make_dir(self.dir / "debs")
        for old in archives.glob("*.deb"):
            old.unlink()
        done = run([*self._apt("apt-get"), "download",
                    "%s=%s" % (candidate.package, candidate.version)],
                   env=self._env(), cwd=archives)
        message = done.stderr.decode("utf-8", "replace")
        debs = sorted(archives.glob("*.deb"))
        if done.returncode != 0 or len(debs) != 1:
            if no_space(message):
                raise disk_full(archives)
            raise HostError("cannot download %s %s: %s" % (
                candidate.package, candidate.version, _last_error(message)),
                "check the network and try again, or " + self.other_way)
        return debs[0]

    def _apt(self, program: str) -> List[str]:
        return [program, "-q"]

    def _env(self) -> Dict[str, str]:
        return {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(self.dir / "apt.conf"),
                "DEBIAN_FRONTEND": "noninteractive"}

    def _update(self, mirrors: List[Mirror], suite: str) -> Optional[str]:
        """Point the private apt at one suite and refresh its lists; returns what went wrong."""
        state = make_dir(self.dir / suite)
        for sub in ("lists/partial", "cache/archives/partial", "preferences.d"):
            make_dir(state / sub)
        write_text(state / "debian.sources", "\n".join(
            "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s" % (
                mirror.uris, suite,
                "Signed-By: %s\n" % mirror.signed_by if mirror.signed_by else "")
            for mirror in mirrors))
        (state / "status").touch()
        write_text(self.dir / "apt.conf", "".join('%s "%s";\n' % (name, value) for name, value in (
            ("Dir::State", state), ("Dir::State::lists", state / "lists"),
            ("Dir::State::status", state / "status"), ("Dir::Cache", state / "cache"),
            ("Dir::Etc::sourcelist", state / "debian.sources"), ("Dir::Etc::sourceparts", "-"),
            ("Dir::Etc::preferences", "-"), ("Dir::Etc::preferencesparts", "-"),
            # The cache is private to its owner: apt's own user could not read it.
            ("APT::Sandbox::User", "root"), ("Acquire::Languages", "none"),
            ("Acquire::Retries", "2"), ("Acquire::http::Timeout", "30"),
            ("Acquire::https::Timeout", "30"),
            ("Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled", "false"),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false"),
            ("APT::Update::Post-Invoke", ""), ("APT::Update::Post-Invoke-Success", ""))))
        self.console.status("source", "apt-get update of %s, private to umthp" % suite)
        argv = [*self._apt("apt-get"), "update", "--error-on=any"]
        self.console.command("APT_CONFIG=%s %s" % (self.dir / "apt.conf", quoted(argv)))
        done = run(argv, env=self._env())
        message = done.stderr.decode("utf-8", "replace")
        (self.dir / "update.log").write_bytes(done.stdout + done.stderr)
        if done.returncode == 0:
            return None
        if no_space(message):
            raise disk_full(self.dir)
        return _last_error(message)

    def _newest_that(self, package: str, holds: Callable[[str], bool]) -> Optional[str]:
        done = run([*self._apt("apt-cache"), "madison", package], env=self._env())
        versions = []
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            parts = [part.strip() for part in line.split("|")]
            if len(parts) == 3 and "Packages" in parts[2] \
                    and holds(parts[1]):
                versions.append(parts[1])
        # madison lists the newest first, by Debian's own ordering.
        return versions[0] if versions else None


def _last_error(message: str) -> str:
    """apt's own complaint: its first error line, else its last line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    return (errors or lines[-1:] or ["no message"])[0]
