# SPDX-License-Identifier: GPL-2.0
"""What a run ends in: exit codes, messages and reports, each with the cache usable afterwards."""

import json
import time
import unittest
import xml.etree.ElementTree as ET

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

    def test_run_without_a_list_is_no_pass(self):
        path = self.project / 'tests/expected_tests'
        report = self.top / 'f.json'
        self.expect(0, 'build')
        for damage, text in ((path.unlink, 'is missing'),
                             (lambda: path.write_text('# nothing\n'), 'names no test')):
            damage()
            for words, exit_code in (((), 4), (('--bisect',), 132), (('--kernel', self.kernel), 4)):
                with self.subTest(text=text, words=words):
                    result = self.umthp('run', '--json', report, *words)
                    self.assertEqual(result.returncode, exit_code, result.stderr)
                    self.assertIn(f'{path} {text}', result.stderr)
                    self.assertIn('git checkout -- tests/expected_tests', result.stderr)
                    self.assertEqual(json.loads(report.read_text())['verdict'], 'config-error')
            self.assertEqual(self.umthp('exec').returncode, 4)
            self.expect(0, 'list')
        path.unlink()
        self.expect(0, 'run', '--slow', '--write-expected')
        self.expect(0, 'run')

    def test_list_is_written_from_a_whole_run_only(self):
        path = self.project / 'tests/expected_tests'
        whole = path.read_text()
        path.write_text('')
        self.expect(0, 'run', '--slow', '--write-expected')
        self.assertEqual([line for line in path.read_text().splitlines() if line[0] != '#'],
                         whole.split())
        written = path.read_text()
        for log, status in (('lost_end', 0), ('panic_in_the_middle', ABORT),
                            ('lost_parameter', 0), ('zero_tests', 0)):
            self.set_boot(log, status)
            self.expect(7, 'run', '--slow', '--write-expected')
            self.assertEqual(path.read_text(), written)

    def test_kernel_args_follow_the_words_of_umthp(self):
        result = self.expect(0, 'run', '-v', '--kernel-args', 'thp_random.minutes=60 a.b=1',
                             '--kernel-args', 'c.d=2')
        self.assertRegex(result.stdout + result.stderr,
                         r'kunit\.filter=\S+ thp_random\.minutes=60 a\.b=1 c\.d=2\n')

    def test_time_out_kills_the_boot(self):
        self.set_boot('hang')
        start = time.monotonic()
        result = self.expect(8, 'run', '--timeout', '2')
        self.assertLess(time.monotonic() - start, 60)
        self.assertIn('no end after 2 s, killed', result.stdout)
        self.assert_no_child_is_left()

    def test_boot_that_prints_without_end_is_killed_and_its_first_failure_is_shown(self):
        path = self.project / 'tools/umthp_tool/boot.py'
        text = path.read_text()
        path.write_text(text.replace('MAX_LOG_BYTES = 128 << 20', 'MAX_LOG_BYTES = 3 << 20'))
        self.assertNotEqual(path.read_text(), text)
        self.set_boot('two_failures_and_no_end', 'endless')
        result = self.expect(8, 'run')
        self.assertIn('more than 3 MiB of log, killed', result.stdout)
        self.assertIn('FAIL  trap_fail.split_fails[order3]', result.stdout)
        self.assertLess(len(result.stdout), 10000)
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
        for words in (('--bisect', '--kernel', 'nosuch'), ('--bisect', '--no-such-option'),
                      ('--bis', '--jobs', '0')):
            with self.subTest(words=words):
                self.assertGreaterEqual(self.umthp('run', *words).returncode, 128)
        self.assertEqual(self.umthp('run', '--no-such-option').returncode, 2)

    def test_mistake_of_the_tool_or_of_the_host_stops_a_bisection(self):
        """1 would blame the commit, and so would any other code below 125."""
        report = self.project / 'tools/umthp_tool/report.py'
        whole = report.read_text()
        for error, codes in (("ValueError('mistake')", (1, 129)),
                             ("OSError(13, 'mistake', '/a')", (7, 135))):
            report.write_text(whole + f'\n\ndef show(*words):\n    raise {error}\n')
            for options, code in zip(((), ('--bisect',)), codes):
                with self.subTest(error=error, options=options):
                    result = self.umthp('run', *options)
                    self.assertEqual(result.returncode, code, result.stderr)
                    self.assertIn('mistake', result.stderr)

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


if __name__ == '__main__':
    unittest.main()
