# SPDX-License-Identifier: GPL-2.0
"""A kernel tree of 20 small files and a copy of this project to run on it.

The tree has what umthp looks for: versions, probed symbols, hooked files, kunit_tool (borrowed
from a real tree). Its Makefile `compiles` by copying, and links a script that prints a recorded
boot. So source, shadow, series, build, run, verdict, report and exit codes are the real ones.
"""

import compileall
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Dict, List, Tuple

from support import DATA, PROJECT, TREE, needs_kernel_tree

from umthp_tool.kernels import load_support

PATCH = '''\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Developer <a@example.org>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH] {subject}

Because.

---
'''


def filled(name: str, **values: object) -> str:
    """A file of tests/data/fake_kernel with its @NAMES@ replaced."""
    text = (DATA / 'fake_kernel' / name).read_text(encoding='utf-8')
    for key, value in values.items():
        text = text.replace(f'@{key.upper()}@', str(value))
    return text


def snapshot(top: Path) -> Dict[str, Tuple]:
    """Every file below top, .git included: type, mode, content, times. Equal means untouched."""
    found = {}
    for folder, dirs, files in os.walk(top):
        for name in sorted(dirs + files):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            content = ''
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, 'rb') as stream:
                    content = hashlib.sha256(stream.read()).hexdigest()
            found[os.path.relpath(path, top)] = (info.st_mode, info.st_mtime_ns, info.st_ctime_ns,
                                                 info.st_ino, content)
    return found


def differences(before: Dict[str, Tuple], after: Dict[str, Tuple]) -> List[str]:
    """The paths in which two snapshots differ."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


@needs_kernel_tree
class FakeKernelCase(unittest.TestCase):
    """A project, a kernel tree under git, an empty cache; all in one temporary directory.

    They are made once for all tests of a module, and copied for each.
    """

    maxDiff = None
    support = None
    _template = None

    def setUp(self):
        if FakeKernelCase._template is None:
            self._make_template()
        self._use(tempfile.mkdtemp(prefix='umthp-test-'))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        shutil.copytree(FakeKernelCase._template, self.top, symlinks=True, dirs_exist_ok=True)
        # The index knows the files by their inodes, too.
        self.git('update-index', '--refresh', '-q')

    @staticmethod
    def told(done):
        """What a command said besides its result, but for where this host has room for UML."""
        return ''.join(line for line in done.stderr.splitlines(True)
                       if not line.startswith("note: UML's memory is in "))

    def _use(self, top):
        self.top = Path(top)
        self.project = self.top / 'project'
        self.cache = self.top / 'cache'
        self.kernel = self.top / 'linux'
        self.home = self.top / 'home'

    def _make_template(self):
        self._use(tempfile.mkdtemp(prefix='umthp-template-'))
        unittest.addModuleCleanup(self._remove_template, self.top)
        self.home.mkdir()
        self._make_project()
        self.make_kernel(self.kernel)
        self.git('init', '-q', '-b', 'main')
        self.commit('start')
        # In the past, so that no file is racily clean unless a test wants it.
        for path in self.kernel.rglob('*'):
            if '.git' not in path.parts and path.is_file():
                os.utime(path, ns=(10**18, 10**18))
        FakeKernelCase._template = self.top

    @staticmethod
    def _remove_template(top):
        FakeKernelCase._template = None
        shutil.rmtree(top)

    def _make_project(self):
        tool = PROJECT / 'tools/umthp_tool'
        # Byte code, once for all; a copy is as good, it goes by the time and size of the source.
        compileall.compile_dir(tool, quiet=2)
        shutil.copytree(tool, self.project / 'tools/umthp_tool')
        shutil.copy2(PROJECT / 'tools/umthp', self.project / 'tools/umthp')
        shutil.copytree(PROJECT / 'tools/hooks', self.project / 'tools/hooks')
        um_config = self.project / 'um_config'
        (um_config / 'patches').mkdir(parents=True)
        shutil.copytree(PROJECT / 'um_config/fragments', um_config / 'fragments')
        shutil.copy2(PROJECT / 'um_config/kernels.toml', um_config / 'kernels.toml')
        FakeKernelCase.support = load_support(um_config)
        self.put('project/um_config/series', '')
        self.put('project/kunit/mm/tests/Kconfig', 'config FAKE_ZONE_DEVICE_KUNIT_TEST\n')
        self.put('project/kunit/mm/tests/Makefile', 'obj-y += x_kunit.o\n')
        self.put('project/kunit/mm/tests/x_kunit.c', '// x\n')
        self.put('project/kunitconfig', 'CONFIG_KUNIT=y\nCONFIG_SWAP=y\n')
        self.put('project/tests/expected_tests', ''.join(
            f'trap_good.{name}\n' for name in (
                'plain', 'skipped', 'split_order[order2]', 'split_order[order3]',
                'split_order[order9]')))
        self.put('project/tests/known_bugs', '')
        self.add_patch('0001-um-more.patch', 'arch/um/kernel/mem.c', 'int um_mem;\n',
                       'int um_mem;\nint um_more;\n')

    def make_kernel(self, where, version='7.3.4'):
        major, minor, micro = version.split('.')
        files = {
            'Makefile': filled('Makefile', version=major, patchlevel=minor, sublevel=micro),
            'Kbuild': '', 'Kconfig': 'source "mm/Kconfig"\n', 'dropped': 'CONFIG_NOTHING=y\n',
            'mm/Kconfig': 'menu "Memory"\nconfig SWAP\nendmenu\n',
            'mm/Makefile': 'obj-y += huge_memory.o memremap.o\n',
            'mm/huge_memory.c': '', 'mm/memremap.c': '', 'mm/memory.c': 'int memory;\n',
            'mm/rmap.c': 'int rmap;\n', 'arch/um/kernel/mem.c': 'int um_mem;\n',
            'arch/x86/um/tls.c': 'int tls;\n', 'include/linux/mm.h': '/* mm */\n',
            'lib/Kconfig': 'config LIB\n', '.gitignore': '*.o\n.*\n!.gitignore\n',
            'tools/testing/kunit/configs/arch_uml.config': 'CONFIG_PCI=y\n'}
        for probe in self.support.probes:
            files[probe.file] = files.get(probe.file, '') + f'{probe.symbol} /* of the fake */\n'
        for name, text in files.items():
            self.put(where / name, text)
        for name in ('kunit_parser', 'kunit_printer', 'kunit_config', 'kunit_junit'):
            shutil.copy2(TREE / f'tools/testing/kunit/{name}.py',
                         where / f'tools/testing/kunit/{name}.py')
        self.set_boot('good', where=where)

    def put(self, path, text):
        path = self.top / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')

    def append(self, name, text):
        """Edit a file of the kernel tree."""
        with open(self.kernel / name, 'a', encoding='utf-8') as file:
            file.write(text)

    def set_boot(self, log, status=0, where=None, own=''):
        """Edit the tree so that its kernel prints this recorded log.

        own: words `ID=LOG:STATUS`, what it does in the boot of a known bug instead. A log is one
        of tests/data, or a path without its .log; the status may be `hang`.
        """
        self.put((where or self.kernel) / 'linux.sh',
                 filled('linux.sh', log=log, status=status, data=DATA, own=own))

    def add_patch(self, name, path, before, after):
        """Append a patch of one file to the series; texts are whole files, None for absent."""
        with tempfile.TemporaryDirectory() as folder:
            for side, text in (('a', before), ('b', after)):
                if text is not None:
                    file = Path(folder, side, path)
                    file.parent.mkdir(parents=True)
                    file.write_text(text)
                else:
                    Path(folder, side).mkdir()
            diff = subprocess.run(['git', '-c', 'core.abbrev=40', 'diff', '--no-index',
                                   '--full-index', '--no-prefix', 'a', 'b'], cwd=folder,
                                  stdout=subprocess.PIPE, encoding='utf-8', check=False).stdout
        patches = self.project / 'um_config/patches'
        (patches / name).write_text(PATCH.format(subject=name[5:-6]) + diff + '-- \n2.39.5\n')
        with open(self.project / 'um_config/series', 'a', encoding='utf-8') as series:
            series.write(name + '\n')

    def git(self, *arguments):
        return subprocess.run(
            ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org',
             '-c', 'maintenance.auto=false', *arguments],
            cwd=self.kernel, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
            env=self.environment(), check=True).stdout

    def commit(self, subject):
        self.git('add', '-A', '-f')
        self.git('commit', '-q', '--allow-empty', '-m', subject)

    def environment(self, **change):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(('GIT_', 'UMTHP_', 'XDG_'))}
        # The python3 of a script is the one that runs the tests.
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']])
        env.update(UMTHP_CACHE=str(self.cache), HOME=str(self.home), LC_ALL='C.UTF-8', PATH=path)
        env.update(change)
        return {name: value for name, value in env.items() if value is not None}

    def command(self, *arguments):
        return [sys.executable, str(self.project / 'tools/umthp'), *map(str, arguments)]

    def umthp(self, *arguments, cwd=None, **env):
        """Run the command in the kernel tree; stdout and stderr as text."""
        return subprocess.run(self.command(*arguments), cwd=cwd or self.kernel,
                              env=self.environment(**env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
                              errors='surrogateescape', timeout=300, check=False)

    def expect(self, exit_code, *arguments, **options):
        """Run the command, check its exit code and that it says nothing like a traceback."""
        result = self.umthp(*arguments, **options)
        self.assertEqual(result.returncode, exit_code, result.stdout + result.stderr)
        self.assertNotIn('Traceback', result.stderr)
        if exit_code in (2, 4, 5, 6, 7):
            self.assertRegex(result.stderr, r'(?m)^error: \S')
            self.assertRegex(result.stderr, r'(?m)^fix:   \S')
        return result

    def interrupted(self, number, waiting_for, *arguments):
        """Start the command, send a signal once `waiting_for` says so; exit code and output."""
        process = subprocess.Popen(self.command(*arguments), cwd=self.kernel,
                                   env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True, encoding='utf-8')
        deadline = time.monotonic() + 60
        try:
            while not waiting_for() and process.poll() is None:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.005)
            process.send_signal(number)
            output, _ = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                process.kill()
        self.assertNotIn('Traceback', output)
        return process.returncode, output

    def assert_no_child_is_left(self):
        for entry in Path('/proc').iterdir():
            try:
                line = (entry / 'cmdline').read_bytes() if entry.name.isdigit() else b''
            except OSError:
                continue
            self.assertNotIn(os.fsencode(self.top), line, 'a child was left behind')

    @property
    def shadow(self) -> Path:
        """The only prepared tree of the cache."""
        trees = [path for path in (self.cache / 'trees').iterdir() if (path / 'src').is_dir()]
        self.assertEqual(len(trees), 1, trees)
        return trees[0] / 'src'
