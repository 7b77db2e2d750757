# SPDX-License-Identifier: GPL-2.0
"""A kernel tarball becomes a git tree without being unpacked: tar stream -> git fast-import."""
from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Callable, Iterator, List, Sequence, Tuple

from .errors import HostError, UmthpError, UsageError
from .git import Git
from .process import disk_full, kill_group, no_space

REF = "refs/heads/source"


class ImportFailed(UmthpError):
    """The archive cannot be read."""

    exit_code = UsageError.exit_code
    verdict = UsageError.verdict


@contextmanager
def decompressed(path: Path) -> Iterator[IO[bytes]]:
    """The tar stream in a file, by its magic and not by its name."""
    with open(path, "rb") as stream:
        magic = stream.read(6)
    if magic.startswith(b"\xfd7zXZ"):
        with _filter(["xz", "-dc", "-T0", str(path)]) as stream:
            yield stream
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        with _filter(["zstd", "-dcq", str(path)]) as stream:
            yield stream
    elif magic.startswith(b"\x1f\x8b"):
        with gzip.open(path) as stream:
            yield stream
    elif magic.startswith(b"BZh"):
        with bz2.open(path) as stream:
            yield stream
    else:
        with open(path, "rb") as stream:
            yield stream


@contextmanager
def package_tarball(deb: Path) -> Iterator[IO[bytes]]:
    """The tar stream of the linux-source-*.tar.xz inside a Debian package."""
    with _filter(["dpkg-deb", "--fsys-tarfile", str(deb)]) as outer:
        with tarfile.open(fileobj=outer, mode="r|", bufsize=1 << 20) as package:
            for member in package:
                if member.isreg() and "/linux-source-" in member.name \
                        and member.name.endswith(".tar.xz"):
                    inner = package.extractfile(member)
                    assert inner is not None
                    with lzma.open(inner) as stream:
                        yield stream
                    return
    raise ImportFailed("%s holds no linux-source tarball" % deb, "use another package")


def packaged_file(deb: Path, names: Sequence[str]) -> bytes:
    """The content of a regular file inside a Debian package; the first of `names` that is there."""
    with _filter(["dpkg-deb", "--fsys-tarfile", str(deb)]) as outer:
        with tarfile.open(fileobj=outer, mode="r|", bufsize=1 << 20) as package:
            for member in package:
                if member.isreg() and member.name.lstrip("./") in names:
                    inner = package.extractfile(member)
                    assert inner is not None
                    return inner.read()
    raise ImportFailed("%s holds no %s" % (deb, names[0]), "use another package")


@contextmanager
def _filter(argv: List[str]) -> Iterator[IO[bytes]]:
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
    except FileNotFoundError as error:
        raise HostError("%s is not installed (needed to unpack the kernel source)" % argv[0],
                        "Debian: apt install %s" % {"xz": "xz-utils"}.get(argv[0], argv[0])
                        ) from error
    assert process.stdout is not None and process.stderr is not None
    try:
        yield process.stdout
        process.stdout.close()
        message = process.stderr.read().decode("utf-8", "replace").strip()
        # Closing early makes the filter die of SIGPIPE; only its own failures count.
        if process.wait() > 0:
            raise ImportFailed("%s: %s" % (argv[0], message), "download the file again")
    except BaseException:
        kill_group(process)
        raise
    finally:
        process.stdout.close()
        process.stderr.close()


def import_tar(stream: IO[bytes], git: Git, progress: Callable[[int], None]) -> str:
    """Feed every file of the archive to git fast-import; returns the tree id."""
    process = subprocess.Popen(
        ["git", "-c", "core.compression=1", "-c", "pack.compression=1",
         "-c", "fastimport.unpackLimit=0", "fast-import", "--done", "--quiet", "--force",
         "--depth=0"],
        env=git.env(), start_new_session=True, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stderr is not None
    try:
        try:
            _feed(stream, process.stdin, progress)
            process.stdin.close()
        except BrokenPipeError:
            pass
        stderr = process.stderr.read().decode("utf-8", "replace")
        if process.wait() != 0:
            if no_space(stderr):
                raise disk_full(git.dir)
            raise HostError("git fast-import failed: %s" % stderr.strip().splitlines()[-1:],
                            "run `umthp clean --all` and try again")
    except (tarfile.TarError, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        kill_group(process)
        raise ImportFailed("the archive is damaged: %s" % error,
                           "download it again, or check the file") from error
    except BaseException:
        kill_group(process)
        raise
    finally:
        process.stderr.close()
    return git.text("rev-parse", REF + "^{tree}")


def _feed(stream: IO[bytes], sink: IO[bytes], progress: Callable[[int], None]) -> None:
    entries: List[Tuple[bytes, int, bytes]] = []
    marks = {}
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:
        for member in archive:
            path = _inner_path(member.name)
            if path is None:
                continue
            if member.isreg():
                content = archive.extractfile(member)
                assert content is not None
                mode, data = (b"100755" if member.mode & 0o100 else b"100644"), content.read()
            elif member.issym():
                mode, data = b"120000", member.linkname.encode("utf-8", "surrogateescape")
            elif member.islnk():
                mode, mark = marks[member.linkname]
                entries.append((mode, mark, path))
                continue
            else:
                continue
            mark = len(entries) + 1
            marks[member.name] = (mode, mark)
            entries.append((mode, mark, path))
            sink.write(b"blob\nmark :%d\ndata %d\n" % (mark, len(data)))
            sink.write(data)
            sink.write(b"\n")
            if mark % 1000 == 0:
                progress(mark)
    if not entries:
        raise ImportFailed("the archive holds no files", "use a kernel source tarball")
    sink.write(b"commit %s\ncommitter umthp <> 0 +0000\ndata 0\n" % REF.encode())
    for mode, mark, path in entries:
        sink.write(b"M %s :%d %s\n" % (mode, mark, _quote(path)))
    sink.write(b"done\n")


def _inner_path(name: str) -> "bytes | None":
    """The path below the archive's top directory; git itself refuses `..` and `.git`."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if len(parts) < 2 or ".." in parts or ".git" in parts:
        return None
    return "/".join(parts[1:]).encode("utf-8", "surrogateescape")


def _quote(path: bytes) -> bytes:
    if path.startswith(b'"') or b"\n" in path:
        return b'"%s"' % path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return path
