# SPDX-License-Identifier: GPL-2.0
"""Which suites a change concerns, and what a run makes of it: --affected, and the order."""

import hashlib
import json
import signal
import subprocess
import unittest
import xml.etree.ElementTree as ET

from fake_kernel import FakeKernelCase, differences, filled, snapshot
from support import DATA
from test_code_changes import REMAP, SPLIT, reached

from umthp_tool import suite_map


class AffectedCase(FakeKernelCase):
    """A kernel with five suites of which a, b and c reach something, and a map of it."""

    SUITES = 'thp_a:thp_a_kunit thp_b:thp_b_kunit thp_c:thp_c_kunit thp_d:thp_de_kunit ' \
        'thp_e:thp_de_kunit'
    NAMES = [word.split(':')[0] for word in SUITES.split()]
    HUGE = 'mm/huge_memory.c'
    map_text = ''       # is the same for every test

    def setUp(self):
        super().setUp()
        for name, text in ((self.HUGE, SPLIT), ('mm/memremap.c', REMAP)):
            self.append(name, '\n' + text)
        self.set_suites()
        self.commit('suites')
        tests = self.project / 'kunit/mm/tests'
        for name in ('thp_a_kunit.c', 'thp_b_kunit.c', 'thp_c_kunit.c', 'thp_de_kunit.c',
                     'thp_fixture.c'):
            (tests / name).write_text(f'// {name}\n')
        (self.project / 'tests/expected_tests').write_text(
            ''.join(f'{name}.works\n' for name in self.NAMES))
        self.put('bin/gcov', (DATA / 'coverage/gcov_suites.py').read_text())
        (self.top / 'bin/gcov').chmod(0o755)
        self.where = self.cache / 'trees/another/suite-map.json'
        if not AffectedCase.map_text:
            self.make_map()
            AffectedCase.map_text = self.own_map.read_text()
            self.own_map.unlink()
        self.where.parent.mkdir(parents=True, exist_ok=True)
        self.where.write_text(AffectedCase.map_text)

    def set_suites(self, fail='', hang='', suites=SUITES):
        self.put('linux/linux.sh', filled('suites.sh', suites=suites, fail=fail, hang=hang))

    def make_map(self, *arguments, exit_code=0):
        path = f'{self.top / "bin"}:{self.environment()["PATH"]}'
        return self.expect(exit_code, 'coverage', '--per-suite', *arguments, PATH=path)

    @property
    def own_map(self):
        return next(iter(self.cache.glob('trees/linux-*'))) / 'suite-map.json'

    def edit(self, old, new, name=HUGE):
        path = self.kernel / name
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def run_json(self, exit_code, *arguments):
        """The document of a run, the suites that it ran, and what it printed."""
        report = self.top / 'f.json'
        report.unlink(missing_ok=True)
        done = self.expect(exit_code, 'run', '--json', report, '-j', '2', *arguments)
        document = json.loads(report.read_text())
        return document, sorted(suite['name'] for suite in document['suites']), done

    def logs(self, name='*'):
        return sorted(self.cache.glob(f'trees/linux-*/logs/{name}'))


class AffectedTest(AffectedCase):

    def check(self, suites, *arguments, exit_code=0):
        document, ran, done = self.run_json(exit_code, '--affected', *arguments)
        self.assertEqual(ran, [f'thp_{letter}' for letter in suites], done.stdout + done.stderr)
        self.assertEqual(document['affected']['only'], True)
        self.assertIn(f'{len(suites)} of 5 suites are concerned; {5 - len(suites)} are not run',
                      done.stdout)
        return done

    def all_run(self, why, *arguments):
        document, ran, done = self.run_json(0, '--affected', *arguments)
        self.assertEqual(ran, self.NAMES, done.stdout + done.stderr)
        self.assertEqual((document['affected']['all'], document['affected']['only']),
                         (True, False))
        self.assertIn(why, done.stdout + done.stderr)
        return done

    def test_changed_function_that_one_suite_reaches(self):
        self.edit('ret = -22', 'ret = -11')
        before = snapshot(self.kernel)
        done = self.check('a')
        self.assertIn('only what is affected', done.stdout)
        self.assertRegex(done.stdout, r'(?m)^change   mm/huge_memory.c:__folio_split +1 suite$')
        self.assertNotIn('UNREACHED', done.stdout)
        self.assertEqual(differences(before, snapshot(self.kernel)), [])
        # It is no verdict of all suites.
        self.assertEqual(self.logs('verdict-*'), [])

    def test_affected_suite_that_fails(self):
        self.set_suites(fail='thp_a thp_c')
        self.commit('they fail')
        self.edit('drop(folio)', 'drop(0)')
        self.check('b')
        self.edit('ret = -22', 'ret = -11')
        done = self.check('ab', exit_code=1)
        self.assertIn('FAIL  thp_a.works', done.stdout)
        self.assertIn('reproduce: umthp run thp_a.works', done.stdout)

    def test_changed_lines_that_no_suite_reaches(self):
        self.edit('next(folio);', 'next(0);')
        self.edit('return folio; /* - */', 'return 0; /* - */')
        number = (self.kernel / self.HUGE).read_text().split('next(0)')[0].count('\n') + 1
        document, ran, done = self.run_json(3, '--affected')
        self.assertEqual((ran, document['verdict']), ([], 'nothing-ran'))
        self.assertRegex(done.stdout, r'UNREACHED mm/huge_memory\.c:__folio_split: no suite '
                         rf'reaches:\n +{number}  next\(0\);\n')
        self.assertRegex(done.stdout, r'UNREACHED \S+:never_called: .*\n +\d+  return 0;\n')
        self.assertRegex(done.stderr, r'error: no suite reaches what has changed against HEAD\n'
                         r'fix:   `umthp run` runs all suites')
        # With something else that is reached it is said as well.
        self.edit('ret = -22', 'ret = -11')
        self.assertIn('UNREACHED', self.check('a').stdout)

    def test_nothing_has_changed(self):
        done = self.run_json(3, '--affected')[2]
        self.assertIn('nothing that a suite could reach has changed', done.stderr)
        self.put('linux/Documentation/x.rst', 'x\n')
        self.append(self.HUGE, '/* a comment */\n')
        self.run_json(3, '--affected')

    def test_header_and_file_without_counts_concern_all(self):
        self.append('include/linux/mm.h', '/* more */\n')
        done = self.all_run('include/linux/mm.h is a header')
        self.assertNotIn('only what is affected', done.stdout)
        self.assertEqual(len(self.logs('verdict-default.json')), 1)
        self.git('checkout', 'include')
        self.append('mm/memory.c', 'int more;\n')
        self.all_run('mm/memory.c is not in the map')
        self.git('checkout', 'mm')
        self.append(self.HUGE, 'int more;\n')
        self.all_run('is outside of functions')

    def test_new_and_deleted_function(self):
        self.edit('int memremap_pages', 'static int more(void)\n{\n\treturn 1;\n}\n\n'
                  'int memremap_pages', 'mm/memremap.c')
        done = self.run_json(3, '--affected')[2]
        self.assertIn('UNREACHED mm/memremap.c:more: is new, the map does not know it', done.stdout)
        self.edit('folio + 1', 'folio + more()', 'mm/memremap.c')
        self.check('c')
        self.git('checkout', 'mm')
        text = (self.kernel / self.HUGE).read_text()
        self.edit(text[text.index('static int __folio'):text.index('static int never')], '')
        self.check('ab')

    def test_changed_suite_is_concerned_and_what_they_share_concerns_all(self):
        tests = self.project / 'kunit/mm/tests'
        (tests / 'thp_b_kunit.c').write_text('// more\n')
        self.check('b')
        (tests / 'thp_de_kunit.c').write_text('// more\n')
        self.edit('ret = -22', 'ret = -11')
        self.check('abde')
        (tests / 'thp_fixture.c').write_text('// more\n')
        self.all_run('kunit/mm/tests/thp_fixture.c has changed since the map was made')

    def test_suite_that_the_map_does_not_know_is_concerned(self):
        self.set_suites(suites=self.SUITES.replace('thp_d:thp_de_kunit', 'thp_d:thp_a_kunit'))
        self.commit('another file')
        self.edit('ret = -22', 'ret = -11')
        # One file: one of its suites cannot be left out alone.
        self.check('ad')
        made = suite_map.load(self.where)
        made.suites[made.suites.index('thp_c')] = 'thp_x'
        suite_map.save(self.where, made)
        self.check('acd')

    def test_staged_commit_and_since(self):
        self.edit('ret = -22', 'ret = -11')
        self.git('add', '-u')
        self.edit('folio + 1', 'folio + 2', 'mm/memremap.c')
        self.check('a', '--staged')
        self.check('ac')
        self.commit('both')
        self.check('ac', '--rev', 'HEAD')
        self.edit('drop(folio)', 'drop(0)')
        self.commit('next')
        self.check('b', '--rev', 'HEAD')
        self.run_json(3, '--affected')
        self.check('abc', '--since', 'HEAD~2')
        self.assertIn('nosuch is not a commit',
                      self.expect(2, 'run', '--since', 'nosuch', '--affected').stderr)

    def test_map_of_another_kernel_line_is_none(self):
        made = suite_map.load(self.where)
        made.kernel = '7.2.9'
        suite_map.save(self.where, made)
        self.edit('ret = -22', 'ret = -11')
        done = self.all_run('there is no map of what the suites reach')
        self.assertIn('umthp coverage --per-suite', done.stderr)
        self.assertEqual(done.stderr.count('map'), 1)
        # A plain run has nothing to say about it.
        self.assertNotIn('map', self.expect(0, 'run').stderr)

    def test_damaged_map_is_none_and_told_once(self):
        self.edit('ret = -22', 'ret = -11')
        whole = self.where.read_text()
        other = whole.partition('\n')[2].replace('"version": 1', '"version": 2')
        other = f'{hashlib.sha256(other.encode()).hexdigest()}\n{other}'
        for damage, why in ((whole[:len(whole) // 2], 'damaged'), ('', 'damaged'),
                            (whole.replace('[9, 9,', '[9, 10,'), 'damaged'), (other, 'version')):
            with self.subTest(why=why):
                self.assertNotEqual(damage, whole)
                self.where.write_text(damage)
                with self.assertRaisesRegex(ValueError, why):
                    suite_map.load(self.where)
        done = self.all_run('suite-map.json is removed: it is of another version')
        self.assertEqual(done.stderr.count('is removed'), 1)
        self.assertNotIn('is removed', self.expect(0, 'run', '--affected').stderr)

    def test_own_map_of_the_tree_comes_first(self):
        self.make_map()
        made = suite_map.load(self.where)
        made.body = json.dumps({'files': {}, 'sets': []})
        suite_map.save(self.where, made)
        self.edit('ret = -22', 'ret = -11')
        self.check('a')

    def test_tree_without_git_is_compared_with_that_of_the_map(self):
        plain = self.top / 'plain'
        plain.mkdir()
        subprocess.run(['git', 'archive', '--output', self.top / 'a.tar', 'HEAD'],
                       cwd=self.kernel, check=True)
        subprocess.run(['tar', '-xf', self.top / 'a.tar', '-C', plain], check=True)
        self.kernel = plain
        self.where.unlink()
        self.make_map()
        self.edit('folio + 1', 'folio + 2', 'mm/memremap.c')
        report = self.top / 'f.json'
        for kernel, code in ((plain, 0), (self.top / 'copy', 0)):
            done = self.expect(code, 'run', '--affected', '--kernel', kernel, '--json', report)
            self.assertEqual([suite['name'] for suite in json.loads(report.read_text())['suites']],
                             ['thp_c'], done.stdout)
            if kernel == plain:
                # Another tree finds the tree of the map where that one has it.
                subprocess.run(['cp', '-a', plain, self.top / 'copy'], check=True)
        self.assertIn('--since', self.expect(2, 'run', '--since', 'HEAD').stderr)
        for objects in self.cache.glob('trees/plain-*/git/objects'):
            objects.rename(objects.with_name('gone'))
        done = self.expect(0, 'run', '--affected', '--kernel', self.top / 'copy')
        self.assertIn('the tree that the map was made from is gone', done.stdout)

    def test_slow_tests_that_the_map_lacks(self):
        with open(self.project / 'tests/expected_tests', 'a', encoding='utf-8') as file:
            file.write('thp_c.slow_one slow\n')
        self.edit('ret = -22', 'ret = -11')
        self.check('a')
        done = self.check('ac', '--slow', exit_code=1)
        self.assertIn('thp_c.slow_one', done.stdout)

    def test_another_variant_may_compile_what_the_map_has_not(self):
        text = (self.kernel / self.HUGE).read_text()
        self.edit(text[text.index('not_compiled'):],
                  text[text.index('not_compiled'):].replace('return folio', 'return 0'))
        done = self.run_json(3, '--affected')[2]
        self.assertIn('not_compiled: is not compiled in the kernel of the map', done.stdout)
        self.all_run('is not in the default configuration', '--variant', 'nomemcg')

    def test_isolated(self):
        self.edit('drop(folio)', 'drop(0)')
        self.check('b', '--isolate', 'suite')

    def test_what_it_does_not_go_with(self):
        for words in (('--range', 'HEAD~1..HEAD'), ('--bisect',), ('thp_a',),
                      ('--slow', '--write-expected')):
            with self.subTest(words=words):
                done = self.umthp('run', '--affected', *words)
                self.assertGreaterEqual(done.returncode, 2)
                self.assertIn('do not go together', done.stderr)
        self.assertIn('commands for all suites',
                      self.expect(0, 'run', '--affected', '--dry-run').stderr)


class OrderTest(AffectedCase):
    """umthp run without --affected: everything, what is concerned first."""

    def setUp(self):
        super().setUp()
        self.edit('ret = -22', 'ret = -11')

    def commit_suites(self, **suites):
        """Suites that behave in another way, and are no part of the change."""
        self.git('checkout', 'mm')
        self.set_suites(**suites)
        self.commit('suites')
        self.edit('ret = -22', 'ret = -11')

    def test_union_is_the_run_of_all(self):
        self.edit('ret = -11', 'ret = -22')
        one = self.run_json(0)
        self.assertEqual(self.logs('run-default-parts/*'), [])
        self.edit('ret = -22', 'ret = -11')
        junit = self.top / 'f.xml'
        two = self.run_json(0, '--junit', junit)
        parts = [path.read_text() for path in self.logs('run-default-parts/*.log')]
        self.assertEqual([[name for name in self.NAMES if f'Subtest: {name}\n' in part]
                          for part in parts], [['thp_a'], self.NAMES[1:]])
        for key in ('passed', 'failed', 'skipped', 'missing', 'unexpected', 'errors', 'verdict'):
            self.assertEqual(one[0][key], two[0][key], key)
        self.assertEqual(one[1], two[1])
        self.assertEqual(two[1], self.NAMES)
        names = [case.get('classname') for case in ET.parse(junit).getroot().iter('testcase')]
        self.assertEqual(sorted(names), self.NAMES)
        self.assertIn('PASS  5 suites, 5 passed', two[2].stdout)
        self.assertNotIn('affected', two[2].stdout)
        # It is a verdict of all suites.
        kept = json.loads(self.logs('verdict-default.json')[0].read_text())
        self.assertEqual(len(kept['suites']), 5)

    def test_lost_test_of_either_part_is_missed(self):
        for suite in ('thp_a', 'thp_d'):
            with open(self.project / 'tests/expected_tests', 'a', encoding='utf-8') as file:
                file.write(f'{suite}.vanished\n')
        document, _, _ = self.run_json(1)
        self.assertEqual(document['missing'], ['thp_a.vanished', 'thp_d.vanished'])

    def test_failure_in_the_first_part_is_told_at_once(self):
        self.commit_suites(fail='thp_a thp_d')
        document, ran, done = self.run_json(1)
        self.assertEqual(ran, self.NAMES)
        self.assertEqual(document['failed'], 2)
        self.assertEqual(done.stderr.count('note: FAIL thp_a.works (your change'), 1)
        self.assertNotIn('FAIL thp_d', done.stderr)
        for suite in ('thp_a', 'thp_d'):
            self.assertEqual(done.stdout.count(f'FAIL  {suite}.works'), 1)

    def test_second_part_is_judged_as_well(self):
        self.commit_suites(fail='thp_d')
        self.assertEqual(self.run_json(1)[0]['failed'], 1)

    def test_one_cpu_does_not_pay_for_a_second_boot(self):
        self.run_json(0, '-j', '1')
        self.assertEqual(self.logs('run-default-parts/*'), [])
        self.run_json(0, '-j', '1', '--slow')
        self.assertEqual(len(self.logs('run-default-parts/*')), 2)

    def test_isolated_boots_begin_with_what_is_concerned(self):
        self.edit('ret = -11', 'ret = -22')
        self.edit('folio + 1', 'folio + 2', 'mm/memremap.c')
        done = self.expect(0, 'run', '--isolate', 'suite', '-j', '1', '-v')
        booted = [line.split('kunit.filter_glob=')[1].split()[0]
                  for line in done.stderr.splitlines() if 'kunit.filter_glob=' in line]
        self.assertEqual(booted, ['thp_c', 'thp_a', 'thp_b', 'thp_d', 'thp_e'])

    def test_signal_between_the_parts(self):
        self.commit_suites(hang='thp_b')
        for number in (signal.SIGINT, signal.SIGTERM):
            status, output = self.interrupted(
                number, lambda: self.logs('run-default-parts/2.log'), 'run', '-j', '1', '--slow')
            self.assertEqual(status, 128 + number, output)
            self.assertNotIn('PASS', output)
            self.assert_no_child_is_left()
            self.assertEqual(self.logs('verdict-*'), [])
            for path in self.logs('run-default-parts/*'):
                path.unlink()
        self.commit_suites()
        self.run_json(0)

    def test_clean_tree_and_no_map_are_one_boot(self):
        self.git('checkout', 'mm')
        self.run_json(0)
        self.edit('ret = -22', 'ret = -11')
        self.where.unlink()
        document, ran, done = self.run_json(0)
        self.assertEqual(ran, self.NAMES)
        self.assertEqual(self.logs('run-default-parts/*'), [])
        self.assertEqual(self.told(done), '')


class MapTest(AffectedCase):
    """umthp coverage --per-suite."""

    def test_map_has_lines_texts_and_what_it_is_of(self):
        self.make_map()
        made = suite_map.load(self.own_map)
        self.assertEqual((made.kernel, made.suites, made.slow), ('7.3.4', self.NAMES, False))
        self.assertEqual(sorted(made.files), [self.HUGE, 'mm/memremap.c'])
        text = (self.kernel / self.HUGE).read_text()
        self.assertEqual(made.file(self.HUGE).text, text)
        wanted = {number: frozenset(f'thp_{letter}' for letter in suites if letter != 'x')
                  for number, suites in reached(text).items()}
        self.assertEqual(made.file(self.HUGE).reached, wanted)
        self.assertEqual(made.ours.keys() & {'mm/tests/thp_a_kunit.c'}, {'mm/tests/thp_a_kunit.c'})

    def test_some_suites_only_make_no_map(self):
        self.make_map('thp_a')
        self.assertFalse(self.own_map.exists())

    def test_suite_that_fails_has_no_lines(self):
        self.set_suites(fail='thp_c')
        self.commit('it fails')
        done = self.make_map(exit_code=1)
        self.assertIn('thp_c is left out, it does not pass: thp_c.works failed', done.stderr)
        self.assertEqual(suite_map.load(self.own_map).suites, ['thp_a', 'thp_b', 'thp_d', 'thp_e'])
        self.edit('ret = -22', 'ret = -11')
        _, ran, _ = self.run_json(1, '--affected')
        self.assertEqual(ran, ['thp_a', 'thp_c'])


if __name__ == '__main__':
    unittest.main()
