# SPDX-License-Identifier: GPL-2.0
"""What a run ends in: exit codes, messages and reports, each with the cache usable afterwards."""

import difflib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

from fake_kernel import FakeKernelCase

ABORT = 134     # a shell's way to say that a child was killed by SIGABRT


class ExitCodeTest(FakeKernelCase):

    def test_pass(self):
        result = self.expect(0, 'run')
        self.assertRegex(result.stdout, r'\APASS  1 suites?, 4 passed, 1 skipped\b.*\n\Z')
        self.assertEqual(self.expect(0, 'run', '-q').stdout, '')

    def test_each_boot_gives_its_exit_code(self):
        rows = (('test_failed', 0, 1), ('warning_in_passing_test', 0, 1), ('all_skipped', 0, 3),
                ('zero_tests', 0, 3), ('panic_in_the_middle', ABORT, 8), ('lost_end', 0, 8),
                ('good', 1, 8), ('lost_parameter', 0, 1))
        for log, status, exit_code in rows:
            with self.subTest(log=log, status=status):
                self.set_boot(log, status)
                self.expect(exit_code, 'run')
        self.set_boot('good')
        self.expect(0, 'run')

    def test_expected_test_that_vanished_fails(self):
        with open(self.project / 'tests/expected_tests', 'a', encoding='utf-8') as file:
            file.write('trap_good.vanished\n')
        self.assertIn('trap_good.vanished', self.expect(1, 'run').stdout)

    def test_time_out_kills_the_boot(self):
        self.set_boot('hang')
        start = time.monotonic()
        result = self.expect(8, 'run', '--timeout', '2')
        self.assertLess(time.monotonic() - start, 60)
        self.assertIn('no end after 2 s, killed', result.stdout)
        self.assert_no_child_is_left()

    def test_compiler_error_names_file_and_line(self):
        self.append('mm/huge_memory.c', 'BROKEN\n')
        result = self.expect(5, 'run')
        self.assertIn('mm/huge_memory.c:1:1: error: it is broken', result.stderr)
        self.assertRegex(result.stderr, r'log:   /\S+build-default\.log\n')
        self.git('checkout', 'mm/huge_memory.c')
        self.expect(0, 'run')

    def test_option_that_kconfig_drops_is_named(self):
        self.put('linux/dropped', 'CONFIG_SWAP=y\n')
        result = self.expect(4, 'run')
        self.assertIn('CONFIG_SWAP=y became n', result.stderr)
        self.put('linux/dropped', 'CONFIG_NOTHING=y\n')
        self.expect(0, 'run')

    def test_usage_errors(self):
        rows = (((), 'COMMAND'), (('run', '--no-such-option'), 'no-such-option'),
                (('frobnicate',), 'frobnicate'), (('run', '--jobs', '0'), '1 or more'),
                (('run', '--rev', 'HEAD', '--staged'), 'not allowed'))
        for arguments, text in rows:
            with self.subTest(arguments=arguments):
                result = self.umthp(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn(text, result.stderr)
                self.assertNotIn('Traceback', result.stderr)
        for arguments, text in ((('run', 'a b'), "'a b' is not a test glob"),
                                (('run', '--variant', 'nosuch'), 'no variant nosuch'),
                                (('run', '--rev', 'nosuch'), 'nosuch is not a commit'),
                                (('run', '--kernel', 'nosuch'), 'nosuch'),
                                (('run', '--kernel', '/dev/null'), '/dev/null')):
            with self.subTest(arguments=arguments):
                self.assertIn(text, self.expect(2, *arguments).stderr)

    def test_rev_that_is_an_option_is_no_option(self):
        self.expect(2, 'run', '--rev=--output=' + str(self.top / 'pwned'))
        self.assertFalse((self.top / 'pwned').exists())

    def test_bisect_codes(self):
        self.expect(0, 'run', '--bisect')
        self.set_boot('test_failed')
        self.expect(1, 'run', '--bisect')
        self.set_boot('zero_tests')
        self.expect(125, 'run', '--bisect')
        self.append('mm/huge_memory.c', 'BROKEN\n')
        self.expect(125, 'run', '--bisect')
        self.assertGreaterEqual(self.umthp('run', '--bisect', '--kernel', 'nosuch').returncode,
                                128)

    def test_json_and_junit_of_a_pass_and_of_an_error(self):
        report, junit = self.top / 'f.json', self.top / 'f.xml'
        for prepare, exit_code, verdict in ((lambda: None, 0, 'pass'),
                                            (lambda: self.append('mm/memremap.c', 'BROKEN\n'), 5,
                                             'build-error')):
            prepare()
            self.expect(exit_code, 'run', '--json', report, '--junit', junit)
            document = json.loads(report.read_text(encoding='utf-8'))
            self.assertEqual((document['verdict'], document['exit_code'], document['kernel']),
                             (verdict, exit_code, '7.3.4'))
            errors = ET.parse(junit).getroot().findall('.//error')
            self.assertEqual(bool(errors), exit_code != 0)

    def test_variables_of_the_calling_make_do_not_reach_the_kernel(self):
        """`make run V=1 K=...` puts its variables into MAKEFLAGS."""
        makefile = self.kernel / 'Makefile'
        makefile.write_text(makefile.read_text().replace(
            'linux: $(objects', '$(if $(LEAK),$(error leaked))\nlinux: $(objects'))
        for name in ('MAKEFLAGS', 'MFLAGS'):
            self.expect(0, 'run', **{name: 'LEAK=1' if name == 'MFLAGS' else ' -- LEAK=1'})
            self.append('mm/huge_memory.c', '\n')

    def assert_no_child_is_left(self):
        for entry in Path('/proc').iterdir():
            try:
                line = (entry / 'cmdline').read_bytes() if entry.name.isdigit() else b''
            except OSError:
                continue
            self.assertNotIn(os.fsencode(self.top), line, 'a child was left behind')

    def interrupt(self, number, waiting_for):
        """Start a run, send a signal once `waiting_for` says so; the exit code."""
        process = subprocess.Popen(self.command('run'), cwd=self.kernel, env=self.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True,
                                   encoding='utf-8')
        deadline = time.monotonic() + 60
        try:
            while not waiting_for() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(number)
            output, _ = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                process.kill()
        self.assertNotIn('Traceback', output)
        return process.returncode, output

    def test_interrupted_boot_and_build_go_on_later(self):
        stages = (
            ('boot', lambda: self.set_boot('hang'),
             lambda: any(self.cache.glob('trees/*/logs/run-default.log')),
             lambda: self.set_boot('good')),
            ('build', lambda: self.append('mm/huge_memory.c', 'SLOW\n'),
             lambda: 'CC      mm/huge_memory.o' in ''.join(
                 path.read_text() for path in self.cache.glob('trees/*/logs/build-default.log')),
             lambda: self.git('checkout', 'mm/huge_memory.c')))
        for number in (signal.SIGINT, signal.SIGTERM):
            for name, slow, reached, heal in stages:
                with self.subTest(stage=name, signal=number.name):
                    shutil.rmtree(self.cache, ignore_errors=True)
                    slow()
                    status, output = self.interrupt(number, reached)
                    self.assertEqual(status, 128 + number, output)
                    self.assertIn('interrupted by ' + number.name, output)
                    self.assert_no_child_is_left()
                    heal()
                    self.expect(0, 'run')

    def test_interrupted_sync_goes_on_later(self):
        """Kill without warning, at several moments of the move to another tree."""
        self.expect(0, 'run')
        state = next(self.cache.glob('trees/*/git/shadow.json'))
        for number in range(4):
            with self.subTest(number=number):
                for count in range(300):
                    self.put(f'linux/mm/f{count}.c', f'int v{number};\n')
                before = state.stat().st_mtime_ns
                self.interrupt(signal.SIGKILL, lambda: state.stat().st_mtime_ns != before)
                self.expect(0, 'run')
                got = {(self.shadow / f'mm/f{count}.c').read_text() for count in range(300)}
                self.assertEqual(got, {f'int v{number};\n'})

    def test_two_runs_at_once_both_pass(self):
        runs = [subprocess.Popen(self.command('run'), cwd=self.kernel, env=self.environment(),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, encoding='utf-8') for _ in range(3)]
        outputs = [run.communicate(timeout=120) for run in runs]
        self.assertEqual([run.returncode for run in runs], [0, 0, 0], outputs)
        self.assertTrue(any('waiting for another umthp' in err for _, err in outputs), outputs)

    def test_clean_leaves_nothing_but_the_locks_and_a_foreign_file(self):
        self.expect(0, 'run')
        foreign = self.cache / 'my-thesis.txt'
        foreign.write_text('mine')
        self.expect(0, 'clean', '--all')
        self.assertEqual(foreign.read_text(), 'mine')
        left = [path for path in self.cache.rglob('*') if path.is_file() and path != foreign
                and path.name != 'lock']
        self.assertEqual(left, [])
        self.expect(0, 'run')

    def test_clean_of_a_tree_in_use_is_refused(self):
        self.set_boot('hang')
        run = subprocess.Popen(self.command('run'), cwd=self.kernel, env=self.environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        try:
            while not any(self.cache.glob('trees/*/logs/run-default.log')):
                self.assertIsNone(run.poll())
                time.sleep(0.01)
            self.assertIn('in use', self.expect(7, 'clean').stderr)
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait(60)


class RefusalTest(FakeKernelCase):
    """Kernels that umthp does not take."""

    def test_directory_that_is_no_kernel_tree(self):
        result = self.expect(2, 'run', '--kernel', self.home, cwd=self.top)
        self.assertIn('is not a Linux source tree', result.stderr)

    def test_older_kernel_is_refused_with_what_it_lacks(self):
        old = self.top / 'linux-6.12'
        self.make_kernel(old, '6.12.48')
        self.put('linux-6.12/mm/huge_memory.c', 'int nothing;\n')
        result = self.expect(6, 'run', '--kernel', old, cwd=self.top)
        self.assertIn('6.12.48', result.stderr)
        self.assertIn('supported: 7.3.x, 7.2.x', result.stderr)
        for probe in self.support.probes:
            if probe.file == 'mm/huge_memory.c':
                self.assertIn(f'{probe.symbol} in mm/huge_memory.c', result.stderr)
        self.expect(0, 'run')

    def test_version_below_the_range_is_refused_even_with_every_symbol(self):
        old = self.top / 'linux-7.1'
        self.make_kernel(old, '7.1.9')
        self.assertIn('7.1.9', self.expect(6, 'run', '--kernel', old, cwd=self.top).stderr)

    def test_newer_version_with_every_symbol_is_tried_with_a_warning(self):
        new = self.top / 'linux-9'
        self.make_kernel(new, '9.1.0')
        self.assertRegex(self.expect(0, 'run', '--kernel', new, cwd=self.top).stderr,
                         'warning: .* is 9.1.0, newer than')

    def test_vendor_tree_without_a_symbol_is_refused_whatever_its_number(self):
        probe = self.support.probes[0]
        path = self.kernel / probe.file
        path.write_text(path.read_text().replace(probe.symbol, 'renamed'))
        self.assertIn(probe.symbol, self.expect(6, 'run').stderr)

    def test_conflict_names_patch_file_and_line_and_heals(self):
        self.put('linux/arch/um/kernel/mem.c', 'int my_edit;\n')
        result = self.expect(6, 'run')
        self.assertIn('0001-um-more.patch', result.stderr)
        self.assertIn('arch/um/kernel/mem.c', result.stderr)
        self.git('checkout', 'arch/um/kernel/mem.c')
        self.expect(0, 'run')

    def test_series_that_is_in_the_tree_already_is_not_applied_again(self):
        self.append_symbol()
        self.put('linux/arch/um/kernel/mem.c', 'int um_mem;\nint um_more;\n')
        self.assertIn('already in tree', self.expect(0, 'run').stderr)
        self.assertEqual((self.shadow / 'arch/um/kernel/mem.c').read_text(),
                         'int um_mem;\nint um_more;\n')

    def append_symbol(self):
        path = self.kernel / self.support.present_file
        path.write_text(path.read_text() + self.support.present_symbol + '\n')

    def test_missing_patch_file_is_named(self):
        (self.project / 'um_config/patches/0001-um-more.patch').unlink()
        self.assertIn('0001-um-more.patch', self.expect(2, 'run').stderr)

    def test_own_file_where_a_suite_goes_is_not_overwritten_silently(self):
        self.put('linux/mm/tests/x_kunit.c', '// mine\n')
        result = self.umthp('run')
        self.assertEqual(result.returncode, 6)
        self.assertIn('mm/tests/x_kunit.c', result.stderr)

    def test_missing_toolchain_is_named_at_once_with_packages(self):
        tools = self.top / 'bin'
        tools.mkdir()
        for folder in os.environ['PATH'].split(os.pathsep):
            for path in Path(folder).glob('*'):
                link = tools / path.name
                if path.name not in ('flex', 'bison', 'bc') and not link.exists():
                    link.symlink_to(path)
        result = self.expect(5, 'run', PATH=str(tools))
        self.assertIn('flex, bison, bc', result.stderr)
        self.assertIn('apt install flex bison bc', result.stderr)
        doctor = self.umthp('doctor', PATH=str(tools))
        self.assertEqual(doctor.returncode, 5)
        self.assertIn('flex', doctor.stdout)
        self.assertGreaterEqual(self.umthp('run', '--bisect', PATH=str(tools)).returncode, 128)
        self.expect(0, 'run')

    def test_cache_that_cannot_be_written_is_a_host_error(self):
        self.put('file', 'not a directory')
        result = self.expect(7, 'run', UMTHP_CACHE=str(self.top / 'file'))
        self.assertIn('UMTHP_CACHE', result.stderr)
        self.expect(7, 'run', UMTHP_CACHE=str(self.top / 'file/below'))

    def test_damaged_cache_state_heals(self):
        self.expect(0, 'run')
        tree = self.shadow.parent
        for name in ('git/shadow.json', 'git/shadow.index', 'git/prepared.json',
                     'git/series.json', 'build/default/umthp-build.json',
                     'build/default/umthp-config.json'):
            for damage in (b'{"tree": ', b'\0' * 4096):
                with self.subTest(name=name, damage=damage[:8]):
                    self.assertTrue((tree / name).exists())
                    (tree / name).write_bytes(damage)
                    # Something to do, or the damaged state might not be read.
                    self.append('mm/memory.c', 'int more;\n')
                    self.expect(0, 'run')
                    self.assertEqual((self.shadow / 'mm/memory.c').read_text(),
                                     (self.kernel / 'mm/memory.c').read_text())


class RuleOneTest(FakeKernelCase):
    """Rule 1 of the design: outside arch/um, new files and hook lines only."""

    def numstat(self):
        """Changed files of the shadow against the source, as `added removed path`."""
        lines = []
        for path in sorted({str(path.relative_to(top)) for top in (self.kernel, self.shadow)
                            for path in top.rglob('*') if path.is_file()}):
            old, new = ((top / path).read_text().splitlines() if (top / path).exists() else []
                        for top in (self.kernel, self.shadow)) \
                if not path.startswith('.git/') else ([], [])
            changes = [line[0] for line in difflib.ndiff(old, new)]
            if '+' in changes or '-' in changes:
                lines.append(f'{changes.count("+")} {changes.count("-")} {path}')
        return lines

    def test_prepared_tree_differs_by_arch_new_files_and_hooks_only(self):
        self.expect(0, 'run')
        self.assertEqual(self.numstat(), [
            '1 0 arch/um/kernel/mem.c', '1 0 mm/Kconfig', '1 0 mm/Makefile',
            '1 0 mm/tests/Kconfig', '1 0 mm/tests/Makefile', '1 0 mm/tests/x_kunit.c'])
        self.assertEqual((self.shadow / 'mm/Kconfig').read_text().splitlines()[-2:],
                         ['source "mm/tests/Kconfig"', 'endmenu'])
        self.assertEqual((self.shadow / 'mm/Makefile').read_text().splitlines()[-1],
                         'obj-$(CONFIG_KUNIT) += tests/')

    def test_series_that_touches_the_code_under_test_is_refused(self):
        huge = (self.kernel / 'mm/huge_memory.c').read_text()
        rows = (('mm/huge_memory.c', huge, huge + 'int more;\n'),
                ('mm/huge_memory.c', huge, None), ('mm/memory.c', 'int memory;\n', 'int m;\n'),
                ('include/linux/mm.h', '/* mm */\n', '/* mm */\n#define WARN_ON(x) 0\n'),
                ('lib/Kconfig', 'config LIB\n', 'config LIB\nconfig LIB2\n'))
        for number, (path, before, after) in enumerate(rows, 2):
            with self.subTest(path=path, removed=after is None):
                name = f'{number:04}-mm-change.patch'
                self.add_patch(name, path, before, after)
                result = self.expect(6, 'run')
                self.assertIn(path, result.stderr)
                self.put('project/um_config/series', '0001-um-more.patch\n')
                self.expect(0, 'run')

    def test_second_line_in_a_hooked_file_is_refused(self):
        makefile = (self.kernel / 'mm/Makefile').read_text()
        self.add_patch('0002-mm-two.patch', 'mm/Makefile', makefile, makefile + 'obj-y += x.o\n')
        self.assertIn('mm/Makefile', self.expect(6, 'run').stderr)


if __name__ == '__main__':
    unittest.main()
