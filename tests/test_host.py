# SPDX-License-Identifier: GPL-2.0
"""Hosts that cannot do: no executable memory, little space, no network; the cache survives."""

import shutil
import subprocess
import unittest

from fake_kernel import FakeKernelCase
from namespaces import needs_mounts, needs_networks, with_mounts, without_network

# Everything where UML's memory could be, as the host sees it.
PLACES = ('/dev/shm', '/tmp', '/var/tmp')


class HostCase(FakeKernelCase):

    def run_in(self, argv, exit_code, **env):
        done = subprocess.run(argv, cwd=self.kernel, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8',
                              timeout=300, check=False,
                              env=self.environment(TMPDIR=None, XDG_RUNTIME_DIR=None, **env))
        self.assertEqual(done.returncode, exit_code, done.stdout)
        self.assertNotIn('Traceback', done.stdout)
        if exit_code == 7:
            self.assertRegex(done.stdout, r'(?m)^error: \S')
            self.assertRegex(done.stdout, r'(?m)^fix:   \S')
        return done.stdout


@needs_mounts
class MemoryPlaceTest(HostCase):
    """The test's own files are moved to /mnt first: the places may hold them."""

    def hostile(self, options, places, exit_code):
        script = ['mount -t tmpfs -o mode=755 tmpfs /mnt', 'mkdir /mnt/top',
                  f"mount --bind '{self.top}' /mnt/top"]
        script += [f'mount -t tmpfs -o {options} tmpfs {place}' for place in places]
        script += ['cd /mnt/top/linux']
        command = [word.replace(str(self.top), '/mnt/top') for word in self.command('run')]
        return self.run_in(with_mounts('\n'.join(script), command), exit_code,
                           UMTHP_CACHE='/mnt/top/cache', HOME='/mnt/top/home')

    def setUp(self):
        super().setUp()
        # The boot reads its recorded log from the project: a copy that stays visible.
        shutil.copytree(self.data(), self.top / 'data')
        script = self.kernel / 'linux.sh'
        script.write_text(script.read_text().replace(str(self.data()), '/mnt/top/data'))

    @staticmethod
    def data():
        from support import DATA
        return DATA

    def test_noexec_shm_is_passed_over_and_said(self):
        out = self.hostile('noexec', ['/dev/shm'], 0)
        self.assertIn("note: UML's memory is in /tmp (/dev/shm: mounted noexec)", out)

    def test_noexec_everywhere_is_a_host_error_with_the_docker_line(self):
        out = self.hostile('noexec', PLACES, 7)
        for place in PLACES:
            self.assertIn(f'{place}: mounted noexec', out)
        self.assertIn('docker run --tmpfs /dev/shm:exec', out)
        self.hostile('exec', PLACES, 0)

    def test_shm_of_16_mib_is_passed_over_and_said(self):
        out = self.hostile('size=16m', ['/dev/shm'], 0)
        self.assertRegex(out, r"note: UML's memory is in /tmp \(/dev/shm: has 1\d MiB free, UML "
                              r'needs \d+ MiB\)')

    def test_16_mib_everywhere_is_a_host_error(self):
        out = self.hostile('size=16m', PLACES, 7)
        self.assertRegex(out, r'/var/tmp: has 1\d MiB free, UML needs \d+ MiB')
        self.hostile('exec', PLACES, 0)


@needs_mounts
class DiskFullTest(HostCase):

    def test_full_disk_at_any_moment_is_a_host_error_and_heals(self):
        """Caches of growing size: each stage runs out of space once, then gets room."""
        self.cache.mkdir()
        seen = set()
        for size in (16, 48, 96, 144, 192, 256, 320, 448, 2048):
            with self.subTest(kib=size):
                script = f'''
                    mount -t tmpfs -o size={size}k tmpfs '{self.cache}'
                    set +e
                    "$@" > '{self.top}/first' 2>&1
                    echo $? >> '{self.top}/first'
                    mount -o remount,size=64m '{self.cache}'
                '''
                self.run_in(with_mounts(script, self.command('run')), 0)
                first = (self.top / 'first').read_text()
                self.assertNotIn('Traceback', first)
                status = int(first.splitlines()[-1])
                self.assertIn(status, (0, 7), first)
                if status == 7:
                    self.assertRegex(first, 'no space left|MiB free')
                    self.assertRegex(first, '(?m)^fix:   .*UMTHP_CACHE')
                seen.add(status)
        self.assertEqual(seen, {0, 7})


@needs_networks
class NetworkTest(HostCase):

    def test_without_network_a_package_cannot_be_had_and_a_tree_can(self):
        out = self.run_in(without_network(
            self.command('run', '--kernel', 'linux-source-7.3')), 7)
        self.assertIn('linux-source-7.3', out)
        self.assertIn('--kernel PATH', out)
        self.run_in(without_network(self.command('run')), 0)

    def test_partial_import_is_not_taken_for_a_whole_one(self):
        """What a killed download or import leaves: the next run does not use it."""
        sources = self.cache / 'sources'
        for name in ('linux-source-7.3_7.3.4-1.git', 'linux-source-7.3_7.3.4-1.partial'):
            (sources / name / 'objects').mkdir(parents=True)
        out = self.run_in(without_network(
            self.command('run', '--kernel', 'linux-source-7.3')), 7)
        self.assertIn('linux-source-7.3', out)


if __name__ == '__main__':
    unittest.main()
