# SPDX-License-Identifier: GPL-2.0
"""The bootstrap of a bare machine, with stand-ins for apt-get, sudo and id on PATH."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import PROJECT

NEEDED = ('gcc', 'make', 'flex', 'bison', 'bc', 'perl', 'git', 'xz', 'ccache')
NEEDED_BY_CHECK = ('shellcheck', 'pyflakes3', 'pycodestyle', 'gcovr', 'gdb')
PACKAGES = {'xz': 'xz-utils'}
# What the script itself calls.
BASICS = ('sh', 'cat', 'env', 'mktemp', 'rm', 'tail', 'true')

STUBS = {
    'id': 'echo ${FAKE_UID:-0}',
    'gcc': '[ -n "$NO_LIBC" ] && echo libc.a || echo /lib/libc.a',
    'apt-get': 'echo "apt-get $*" >> "$CALLS"; echo "E: no network" >&2;'
               ' case "$*" in *install*) exit ${APT_STATUS:-0} ;; esac; exit ${UPDATE_STATUS:-0}',
    'sudo': 'echo "sudo $1" >> "$CALLS"; [ -z "$NO_SUDO" ] || exit 1;'
            ' [ "$1" = -n ] && shift; exec "$@"'}


class InstallDepsTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-deps-')
        self.addCleanup(folder.cleanup)
        self.bin = Path(folder.name, 'bin')
        self.bin.mkdir()
        self.calls = Path(folder.name, 'calls')
        for name in BASICS:
            (self.bin / name).symlink_to(shutil.which(name))
        for name in (*NEEDED, *NEEDED_BY_CHECK, 'apt-get'):
            self.stub(name)

    def stub(self, name):
        path = self.bin / name
        path.write_text(f'#!/bin/sh\n{STUBS.get(name, "exit 0")}\n')
        path.chmod(0o755)

    def remove(self, *names):
        for name in names:
            (self.bin / name).unlink()

    def install(self, exit_code, *arguments, **env):
        """Run the script; what it called comes back."""
        self.stub('id')
        self.calls.write_text('')
        done = subprocess.run(
            [str(PROJECT / 'tools/install-deps'), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', check=False,
            env={'PATH': str(self.bin), 'CALLS': str(self.calls),
                 'TMPDIR': os.environ.get('TMPDIR', '/tmp'), **env})
        self.assertEqual(done.returncode, exit_code, done.stdout + done.stderr)
        self.out = done.stdout + done.stderr
        return self.calls.read_text().splitlines()

    def test_nothing_missing_says_and_calls_nothing(self):
        for arguments in ((), ('run',), ('check',)):
            self.assertEqual(self.install(0, *arguments), [])
            self.assertEqual(self.out, '')

    def test_each_missing_need_installs_its_package(self):
        for name in (*NEEDED, *NEEDED_BY_CHECK):
            with self.subTest(name=name):
                self.remove(name)
                calls = self.install(0, 'check')
                expected = [PACKAGES.get(name, name)]
                if name == 'gcc':
                    expected.append('libc6-dev')    # cannot be probed without it
                self.assertRegex(calls[0], ' update$')
                self.assertTrue(calls[1].endswith(
                    ' install --no-install-recommends ' + ' '.join(expected)), calls)
                self.stub(name)

    def test_library_is_probed_and_not_only_the_compiler(self):
        self.assertTrue(self.install(0, NO_LIBC='1')[1].endswith('-recommends libc6-dev'))

    def test_run_does_not_need_what_only_check_needs(self):
        self.remove(*NEEDED_BY_CHECK)
        self.assertEqual(self.install(0, 'run'), [])
        self.assertTrue(self.install(0, 'check')[1].endswith(
            ' shellcheck pyflakes3 pycodestyle gcovr gdb'))

    def test_ci_alone_needs_a_browser(self):
        self.assertTrue(self.install(0, 'ci')[1].endswith('-recommends chromium'))
        self.stub('chromium')
        self.assertEqual(self.install(0, 'ci'), [])

    def test_user_with_sudo_installs_through_it(self):
        self.remove('flex')
        self.stub('sudo')
        calls = self.install(0, FAKE_UID='1000')
        self.assertEqual([call.split()[0] for call in calls],
                         ['sudo', 'sudo', 'apt-get', 'sudo', 'apt-get'])
        self.assertTrue(calls[-1].endswith('-recommends flex'))

    def test_user_without_root_gets_the_line_to_type(self):
        self.remove('flex', 'bc')
        self.assertEqual(self.install(5, FAKE_UID='1000'), [])
        self.assertIn('\n  apt-get install --no-install-recommends flex bc\n', self.out)
        self.assertIn('flex (building Kconfig)', self.out)
        self.stub('sudo')
        self.assertEqual(self.install(5, FAKE_UID='1000', NO_SUDO='1'), ['sudo -n'])
        self.assertIn('\n  apt-get install --no-install-recommends flex bc\n', self.out)

    def test_failing_apt_shows_its_words_and_the_line_to_type(self):
        self.remove('flex')
        self.install(5, APT_STATUS='100')
        self.assertIn('E: no network', self.out)
        self.assertIn('\n  apt-get install --no-install-recommends flex\n', self.out)

    def test_failing_update_is_no_failure_if_the_packages_can_be_had(self):
        self.remove('flex')
        self.assertEqual(len(self.install(0, UPDATE_STATUS='100')), 2)

    def test_other_distribution_gets_the_list(self):
        self.remove('flex', 'apt-get')
        self.assertEqual(self.install(5), [])
        self.assertIn('This is no Debian', self.out)
        self.assertIn('flex', self.out)

    def test_dry_run_installs_nothing(self):
        self.remove('flex')
        self.assertEqual(self.install(5, '--dry-run'), [])
        self.assertIn('To install: apt-get install --no-install-recommends flex', self.out)

    def test_unknown_argument_is_a_usage_error(self):
        self.install(2, 'everything')


if __name__ == '__main__':
    unittest.main()
