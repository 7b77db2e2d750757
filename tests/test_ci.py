# SPDX-License-Identifier: GPL-2.0
"""The matrix of CI jobs, and the recipes in tools/ci: read as their engines read them, and their
shell lines executed on a fake kernel."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ET

from fake_kernel import FakeKernelCase
from support import PROJECT, TREE

RECIPES = PROJECT / 'tools/ci'
DEBIAN_PYTHON = '/usr/bin/python3'
NO_YAML = 'apt install python3-yaml, to read the recipes'


def read_yaml(path):
    """A YAML file; None if no Python at hand can read YAML."""
    code = 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'
    for python in (sys.executable, DEBIAN_PYTHON):
        with open(path, encoding='utf-8') as stream:
            done = subprocess.run([python, '-c', code], stdin=stream, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, encoding='utf-8', check=False)
        if not done.returncode:
            return json.loads(done.stdout)
        if 'No module named' not in done.stderr:
            raise AssertionError(f'{path}: {done.stderr}')
    return None


class CiCase(FakeKernelCase):

    def setUp(self):
        super().setUp()
        shutil.copytree(RECIPES, self.project / 'tools/ci')
        # Instead of the package manager and of what it installs.
        self.bin = self.top / 'bin'
        self.put('bin/apt-get', '#!/bin/sh\necho "$@" >>"$HOME/apt"\n')
        self.put('bin/sudo', '#!/bin/sh\nexec "$@"\n')
        self.put('project/tools/install-deps', '#!/bin/sh\necho "$@" >>"$HOME/deps"\n')
        for path in (*self.bin.iterdir(), self.project / 'tools/install-deps'):
            path.chmod(0o755)

    def sh(self, script, code=0, **env):
        """Run shell lines as a CI engine does: -e, in the project."""
        environment = self.environment(**env)
        environment['PATH'] = f'{self.bin}:{environment["PATH"]}'
        done = subprocess.run(['sh', '-e', '-c', script], cwd=self.project, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding='utf-8', timeout=300, check=False)
        self.assertEqual(done.returncode, code, script + '\n' + done.stdout + done.stderr)
        return done

    def matrix(self, *words, form='json'):
        return self.expect(0, 'ci-matrix', '--form', form, *words).stdout


class MatrixTest(CiCase):

    def test_each_kernel_meets_each_variant_once(self):
        jobs = json.loads(self.matrix())
        variants = self.expect(0, 'list', '--variants').stdout.split()
        # It has nothing more to test, so it is there only if it is named.
        variants.remove('gdb')
        self.assertEqual(len(json.loads(self.matrix('--variants', 'gdb'))), 2)
        kernels = [entry.package for entry in self.support.kernels]
        self.assertEqual([(job['kernel'], job['variant']) for job in jobs],
                         [(kernel, variant) for kernel in kernels for variant in variants])
        self.assertEqual(len({job['name'] for job in jobs}), len(jobs))

    def test_arguments_are_words_that_umthp_takes(self):
        hostile = "/tmp/it's $(touch evil) `b`"
        for job in json.loads(self.matrix('--kernels', f'{hostile},linux-source-7.3')):
            with self.subTest(job=job):
                words = shlex.split(job['args'])
                self.assertEqual(words[words.index('--kernel') + 1], job['kernel'])
                self.assertRegex(job['name'], r'^[A-Za-z0-9][A-Za-z0-9.-]*$')
                # Refused for the missing tree at most, not for its spelling.
                done = self.umthp(*words, '--dry-run', cwd=self.home)
                self.assertIn(done.returncode, (0, 2, 5, 7), done.stderr)
                self.assertNotIn('usage:', done.stderr)

    def test_names_of_similar_paths_differ(self):
        jobs = json.loads(self.matrix('--kernels', '/a/b,/a-b', '--variants', 'default'))
        self.assertEqual(len({job['name'] for job in jobs}), 2)

    def test_forms_say_the_same(self):
        jobs = json.loads(self.matrix())
        github = self.matrix(form='github')
        self.assertEqual(github.count('\n'), 1)     # $GITHUB_OUTPUT takes one line
        self.assertEqual(json.loads(github), {'include': jobs})
        self.assertEqual(json.loads(self.matrix(form='gitlab')),
                         [{'NAME': job['name'], 'ARGS': job['args']} for job in jobs])
        self.assertEqual(self.matrix(form='parallel').splitlines(),
                         [f'{job["name"]}\t{job["args"]}' for job in jobs])

    def test_cache_key_follows_what_is_built(self):
        def keys():
            return [job['cache'] for job in json.loads(self.matrix())]
        first = keys()
        self.assertEqual(keys(), first)
        for name in ('kunit/mm/tests/x_kunit.c', 'um_config/series', 'kunitconfig'):
            with self.subTest(name=name):
                before = keys()
                with open(self.project / name, 'a', encoding='utf-8') as file:
                    file.write('# more\n')
                self.assertFalse(set(keys()) & set(before))
        before = keys()
        self.put('project/tests/more', 'no part of the kernel\n')
        self.assertEqual(keys(), before)

    def test_unknown_variant_and_empty_list_are_refused(self):
        self.assertIn('no variant gpu', self.expect(2, 'ci-matrix', '--variants', 'gpu').stderr)
        self.expect(2, 'ci-matrix', '--variants', ',')
        self.expect(2, 'ci-matrix', '--kernels', '')

    @unittest.skipUnless(shutil.which('parallel'), 'apt install parallel')
    def test_gnu_parallel_spreads_it(self):
        """The line of the README; `:` is this machine, where a host would stand."""
        self.put('jobs', self.matrix('--kernels', str(self.kernel), '--variants', 'default,smp',
                                     form='parallel'))
        self.sh(f'parallel --will-cite -j 2 -S : --colsep "\\t" -a {self.top}/jobs '
                f'"cd {self.project} && RESULTS={self.top}/r tools/ci/umthp-job {{1}} {{2}}"')
        self.assertEqual(sorted(path.suffix for path in (self.top / 'r').iterdir()),
                         ['.json'] * 2 + ['.ktap'] * 2 + ['.xml'] * 2)
        table = self.expect(0, 'report', '--only-files', *(self.top / 'r').glob('*.json')).stdout
        self.assertRegex(table, r'(?m)^7\.3\.4, default +pass')
        self.assertRegex(table, r'(?m)^7\.3\.4, smp +pass')


class JobTest(CiCase):

    def job(self, args, code=0, **env):
        return self.sh(f'tools/ci/umthp-job job {shlex.quote(args)}', code,
                       RESULTS=str(self.top / 'r'), **env)

    def test_leaves_json_junit_and_ktap(self):
        self.job(f'run --kernel {self.kernel}')
        verdict = json.loads((self.top / 'r/job.json').read_text())
        self.assertEqual(verdict['verdict'], 'pass')
        cases = ET.parse(self.top / 'r/job.xml').getroot().findall('.//testcase')
        self.assertEqual(len(cases), 5)
        for case in cases:
            self.assertEqual(case.get('classname'), 'trap_good')
            self.assertGreaterEqual(float(case.get('time')), 0)
        kunit = TREE / 'tools/testing/kunit/kunit.py'
        done = subprocess.run([sys.executable, str(kunit), 'parse', str(self.top / 'r/job.ktap')],
                              stdout=subprocess.PIPE, encoding='utf-8', cwd=self.top, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn('Testing complete. Ran 5 tests: passed: 4, skipped: 1', done.stdout)

    def test_keeps_exit_code_and_results_of_a_failure(self):
        self.set_boot('test_failed')
        self.job(f'run --kernel {self.kernel}', 1)
        self.assertEqual(json.loads((self.top / 'r/job.json').read_text())['verdict'], 'fail')
        self.assertIn('not ok', (self.top / 'r/job.ktap').read_text())

    def test_build_error_has_a_json_and_a_junit(self):
        self.append('mm/memremap.c', 'BROKEN\n')
        self.job(f'run --kernel {self.kernel}', 5)
        self.assertEqual(json.loads((self.top / 'r/job.json').read_text())['verdict'],
                         'build-error')
        self.assertTrue(ET.parse(self.top / 'r/job.xml').getroot().findall('.//error'))

    def test_lava_gets_the_verdict_as_a_case(self):
        self.put('bin/lava-test-case', '#!/bin/sh\necho "$@" >>"$HOME/lava"\n')
        (self.bin / 'lava-test-case').chmod(0o755)
        self.job(f'run --kernel {self.kernel}')
        self.set_boot('test_failed')
        self.job(f'run --kernel {self.kernel}', 1)
        self.job(f"run 'no_such*' --kernel {self.kernel}", 1)
        self.assertEqual((self.home / 'lava').read_text().splitlines()[:2],
                         ['umthp --result pass', 'umthp --result fail'])

    def test_hostile_kernel_path_is_a_word(self):
        evil = self.top / 'a $(touch evil) ; touch evil'
        shutil.copytree(self.kernel, evil, symlinks=True)
        job, = json.loads(self.matrix('--kernels', str(evil), '--variants', 'default'))
        self.job(job['args'])
        self.assertEqual([*self.top.rglob('evil')], [])


class RecipesTest(CiCase):

    def recipe(self, name):
        found = read_yaml(RECIPES / name)
        if found is None:
            self.skipTest(NO_YAML)
        return found

    def on_the_fake(self, args):
        """The arguments of a job, for the fake kernel instead of a package."""
        return re.sub(r'--kernel \S+', f'--kernel {self.kernel}', args)

    def test_all_are_yaml(self):
        for path in RECIPES.glob('*.yml'):
            with self.subTest(path=path.name):
                self.assertIsInstance(self.recipe(path.name), dict)

    def test_github(self):
        jobs = self.recipe('github.yml')['jobs']
        output = self.top / 'output'
        step = next(step for step in jobs['matrix']['steps'] if step.get('id') == 'matrix')
        self.sh(step['run'], GITHUB_OUTPUT=str(output))
        name, _, value = output.read_text().rstrip('\n').partition('=')
        self.assertEqual(jobs['matrix']['outputs'][name], '${{ steps.matrix.outputs.matrix }}')
        entry = next(job for job in json.loads(value)['include'] if job['variant'] == 'default')
        fields = {f'matrix.{key}' for key in entry}
        used = set(re.findall(r'\$\{\{ (matrix\.\w+)', json.dumps(jobs['run'])))
        self.assertTrue(used and used <= fields, used - fields)

        entry['args'] = self.on_the_fake(entry['args'])

        def filled(text):
            return re.sub(r'\$\{\{ matrix\.(\w+) \}\}', lambda match: entry[match.group(1)], text)
        for step in jobs['run']['steps']:
            if 'run' in step:
                env = {key: filled(value) for key, value in step.get('env', {}).items()}
                self.sh(filled(step['run']), RESULTS='results', **env)
        self.assertIn('python3', (self.home / 'apt').read_text())
        self.assertEqual((self.home / 'deps').read_text(), 'run\n')
        stem = self.project / 'results' / entry['name']
        self.assertTrue(stem.with_name(stem.name + '.xml').is_file())
        commands = [step['run'] for step in jobs['report']['steps'] if 'run' in step]
        self.sh('\n'.join(commands).replace(' --html page', ''))
        # What is kept between jobs is in the cache that the run used.
        paths = next(step['with']['path'] for step in jobs['run']['steps']
                     if step.get('uses', '').startswith('actions/cache@')).split()
        self.assertEqual(jobs['run']['env']['UMTHP_CACHE'], '${{ github.workspace }}/.umthp')
        self.assertEqual(paths, ['.umthp/sources', '.umthp/ccache'])

    def test_gitlab(self):
        recipe = self.recipe('gitlab.yml')
        base, job = recipe['.umthp'], recipe['umthp']
        self.assertEqual(job['parallel']['matrix'],
                         json.loads(self.matrix(form='gitlab')),
                         'paste what `umthp ci-matrix --form gitlab` prints')
        entry = job['parallel']['matrix'][0]
        env = {key: value.replace('$CI_PROJECT_DIR', str(self.project))
               for key, value in base['variables'].items() if key != 'UMTHP_CACHE'}
        self.sh('\n'.join(base['before_script'] + job['script']), NAME=entry['NAME'],
                ARGS=self.on_the_fake(entry['ARGS']), **env)
        junit, = self.project.glob(job['artifacts']['reports']['junit'])
        self.assertEqual(len(ET.parse(junit).getroot().findall('.//testcase')), 5)
        script = '\n'.join(recipe['umthp-report']['script'])
        self.assertIn(' --html page ', script)
        self.sh(script.replace(' --html page', ''), **env)

    def test_lava(self):
        recipe = self.recipe('lava.yml')
        self.put('bin/lava-test-case', '#!/bin/sh\necho "<$*>"\n')
        (self.bin / 'lava-test-case').chmod(0o755)
        params = dict(recipe['params'], ARGS=self.on_the_fake(recipe['params']['ARGS']))
        for log, code, result in (('good', 0, 'pass'), ('test_failed', 1, 'fail')):
            self.set_boot(log)
            done = self.sh('\n'.join(recipe['run']['steps']), code, **params)
            self.assertIn(f'<umthp --result {result}>', done.stdout)
            self.assertIn('KTAP version 1', done.stdout)


if __name__ == '__main__':
    unittest.main()
