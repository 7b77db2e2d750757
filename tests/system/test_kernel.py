# SPDX-License-Identifier: GPL-2.0
"""The tools on the real default kernel: `make check` runs this after the kernel is built."""

import fcntl
import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from namespaces import needs_mounts, needs_networks, with_mounts, without_network
from support import PROJECT, TREE

# A suite that is quick, always there, and that UML's whole memory set-up is behind.
GLOB = 'fake_zone_device'
ARCH = ('arch/um/', 'arch/x86/um/')
HOOKED = {'mm/Kconfig', 'mm/Makefile'}


def umthp(*arguments):
    return [sys.executable, str(PROJECT / 'tools/umthp'), *arguments]


def run(argv, **env):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8', timeout=600, check=False,
                          cwd='/', env={**os.environ, **env})


@unittest.skipUnless(TREE, 'no prepared kernel: run `tools/umthp build` first')
class KernelCase(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.home = TREE.parent          # <cache>/trees/KEY
        cls.cache = cls.home.parent.parent
        cls.kernel = ['--kernel', cls.home.name]
        if not cls.home.name.startswith('linux-source-'):
            raise unittest.SkipTest('the kernel under test is not a package')

    def expect(self, exit_code, argv, **env):
        done = run(argv, **env)
        self.assertEqual(done.returncode, exit_code, done.stdout)
        self.assertNotIn('Traceback', done.stdout)
        return done.stdout

    def uml_processes(self):
        """Processes of kernels in this cache that are alive."""
        found = []
        for name in glob.glob('/proc/[0-9]*/cmdline'):
            try:
                if Path(name).read_bytes().startswith(os.fsencode(self.home) + b'/build/'):
                    found.append(name)
            except OSError:
                continue
        return found


class RuleOneTest(KernelCase):
    """The code under test is the kernel's own, byte for byte."""

    def git(self, *arguments, **env):
        stores = ':'.join(glob.glob(str(self.cache / 'sources/*.git/objects')))
        return subprocess.run(
            ['git', *arguments], stdout=subprocess.PIPE, encoding='utf-8', check=True,
            env={**os.environ, 'GIT_DIR': str(self.home / 'git'),
                 'GIT_ALTERNATE_OBJECT_DIRECTORIES': stores, **env}).stdout

    def source_tree(self):
        """The tree id of the imported package, as it was when it was imported."""
        states = sorted(self.cache.glob(f'sources/{self.home.name}_*.git/umthp.json'))
        self.assertTrue(states)
        trees = {json.loads(path.read_text())['tree'] for path in states}
        return trees

    def test_built_tree_differs_from_its_source_by_arch_new_files_and_hooks_only(self):
        with tempfile.TemporaryDirectory() as folder, open(self.home / 'lock', 'rb') as lock:
            # Nobody moves the tree meanwhile.
            fcntl.flock(lock, fcntl.LOCK_EX)
            # What lies in the directory that was built, not what the tool noted down.
            index = os.path.join(folder, 'index')
            work = {'GIT_INDEX_FILE': index, 'GIT_WORK_TREE': str(TREE),
                    'GIT_OBJECT_DIRECTORY': folder}
            stores = ':'.join([str(self.home / 'git/objects'),
                               *glob.glob(str(self.cache / 'sources/*.git/objects'))])
            work['GIT_ALTERNATE_OBJECT_DIRECTORIES'] = stores
            reports = []
            for tree in self.source_tree():
                self.git('read-tree', tree, **work)
                self.git('add', '-A', '-f', '.', **work)
                reports.append(self.git('diff-index', '--cached', '--no-renames', '--numstat',
                                        tree, **work) +
                               self.git('diff-index', '--cached', '--no-renames',
                                        '--summary', tree, **work))
        # Several imported versions: the tree comes from one of them.
        report = min(reports, key=len)
        created = set(re.findall(r'^ create mode 100644 (\S+)$', report, re.M))
        changed = {}
        for line in report.splitlines():
            match = re.match(r'(\d+|-)\t(\d+|-)\t(\S+)$', line)
            if match and not match.group(3).startswith(ARCH) and match.group(3) not in created:
                changed[match.group(3)] = match.group(1, 2)
        self.assertEqual(changed, {name: ('1', '0') for name in HOOKED})
        self.assertTrue(any(path.startswith('mm/tests/') for path in created))
        self.assertNotIn('delete mode', report)
        # Every new file is one of this project, or of the architecture.
        own = {str(path.relative_to(PROJECT / 'kunit')) for path in
               (PROJECT / 'kunit').rglob('*') if path.is_file()}
        self.assertEqual({path for path in created if not path.startswith(ARCH)} - own, set())


class HostTest(KernelCase):

    @needs_mounts
    def test_noexec_shm_runs_elsewhere(self):
        out = self.expect(0, with_mounts('mount -t tmpfs -o noexec tmpfs /dev/shm',
                                         umthp('exec', GLOB, *self.kernel)), TMPDIR='')
        self.assertIn('/dev/shm: mounted noexec', out)

    @needs_mounts
    def test_shm_of_16_mib_runs_elsewhere(self):
        out = self.expect(0, with_mounts('mount -t tmpfs -o size=16m tmpfs /dev/shm',
                                         umthp('exec', GLOB, *self.kernel)), TMPDIR='')
        self.assertRegex(out, r'/dev/shm: has 1\d MiB free')

    @needs_networks
    def test_everything_there_needs_no_network(self):
        self.expect(0, without_network(umthp('run', GLOB, *self.kernel)))

    def test_nothing_is_left_where_uml_had_its_memory(self):
        def places():
            return set(glob.glob('/dev/shm/*') + glob.glob('/tmp/umthp-[0-9a-z_]*')
                       + glob.glob(str(Path.home() / '.uml/*')))
        before = places()
        self.expect(0, umthp('exec', GLOB, *self.kernel))
        self.assertEqual({path for path in places() - before if 'umthp' in path
                          or '.uml' in path}, set())


class InterruptTest(KernelCase):

    def started(self):
        """A run with a boot, of the one or two that it makes, that has begun to print results."""
        def logs():
            return [*self.home.glob('logs/run-default.log'),
                    *self.home.glob('logs/run-default-parts/*.log')]
        for log in logs():
            log.unlink()
        process = subprocess.Popen(umthp('run', *self.kernel), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd='/',
                                   encoding='utf-8')
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            if any(b'# Subtest:' in log.read_bytes() for log in logs()):
                return process
            time.sleep(0.002)
        self.fail(f'the boot did not start: {process.communicate()[0]}')

    def test_interrupted_boot_leaves_no_process_and_the_next_run_passes(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name):
                process = self.started()
                process.send_signal(number)
                output, _ = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 128 + number, output)
                self.assertEqual(self.uml_processes(), [])
                self.expect(0, umthp('exec', GLOB, *self.kernel))

    def test_killed_command_takes_uml_with_it(self):
        process = self.started()
        process.kill()
        process.communicate(timeout=60)
        deadline = time.monotonic() + 30
        while self.uml_processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.uml_processes(), [])
        self.expect(0, umthp('exec', GLOB, *self.kernel))

    def test_two_runs_at_once_both_pass(self):
        runs = [subprocess.Popen(umthp('run', GLOB, *self.kernel), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd='/',
                                 encoding='utf-8') for _ in range(2)]
        outputs = [process.communicate(timeout=600)[0] for process in runs]
        self.assertEqual([process.returncode for process in runs], [0, 0], outputs)


if __name__ == '__main__':
    unittest.main()
