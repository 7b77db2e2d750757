# SPDX-License-Identifier: GPL-2.0
"""The tested tree is the one that was asked for, and the user's repository stays bit-identical."""

import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import threading
import unittest
from pathlib import Path
from unittest import mock

from fake_kernel import FakeKernelCase, differences, snapshot
from hook_case import ADDED, CHANGED

from umthp_tool import cli
from umthp_tool.cache import make_dir
from umthp_tool.console import Console
from umthp_tool.shadow import Layout, prepare
from umthp_tool.source import Directory

SEQUENCES = 200
# Every so many sequences the whole command runs: build, boot and verdict as well.
WHOLE = 20


class ConcurrentTest(FakeKernelCase):

    def test_nothing_changes_under_a_concurrent_git_status(self):
        self.git('commit', '-q', '--allow-empty', '-m', 'second')
        self.put('linux/mm/rmap.c', 'int staged_and_longer;\n')
        self.git('add', 'mm/rmap.c')
        self.put('linux/mm/memory.c', 'int edited_and_longer;\n')
        self.put('linux/mm/new.c', 'int untracked;\n')
        # In the past, or each git status would have a reason of its own to write the index.
        for name in ('mm/rmap.c', 'mm/memory.c', 'mm/new.c'):
            os.utime(self.kernel / name, ns=(10**18, 10**18))
        self.git('add', 'mm/rmap.c')
        wanted = self.git('status', '--porcelain')
        before = snapshot(self.kernel)
        ended = threading.Event()
        seen, failed = set(), []

        def look():
            while not ended.is_set():
                done = subprocess.run(['git', 'status', '--porcelain'], cwd=self.kernel,
                                      env=self.environment(), stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, encoding='utf-8', check=False)
                seen.add(done.stdout)
                if done.returncode:
                    failed.append(done.stdout)
        looker = threading.Thread(target=look)
        looker.start()
        try:
            for arguments in (('run',), ('run', '--staged'), ('run', '--range', 'HEAD~1..HEAD'),
                              ('hook', 'run'), ('run', '--rev', 'HEAD')):
                with self.subTest(arguments=arguments):
                    self.expect(0, *arguments)
                    # git status itself makes a lock in .git and removes it.
                    self.assertLessEqual(set(differences(before, snapshot(self.kernel))),
                                         {'.git', '.git/index.lock'})
        finally:
            ended.set()
            looker.join()
        self.assertEqual((failed, seen), ([], {wanted}))
        self.assertLessEqual(set(differences(before, snapshot(self.kernel))), {'.git'})

    def test_lock_of_another_git_is_respected_and_no_obstacle(self):
        self.put('linux/mm/memory.c', 'int edited;\n')
        (self.kernel / '.git/index.lock').write_bytes(b'somebody is at work')
        before = snapshot(self.kernel)
        for arguments in (('run',), ('run', '--staged')):
            self.expect(0, *arguments)
            self.assertEqual(differences(before, snapshot(self.kernel)), [])


class Model:
    """What a work tree, its index and its commits hold, kept without git: path -> content."""

    def __init__(self, files):
        self.work = dict(files)
        self.index = dict(files)
        self.commits = [dict(files)]        # each once, HEAD~n is of its branch
        self.branches = {'main': [0]}
        self.branch = 'main'

    @property
    def head(self):
        return self.commits[self.branches[self.branch][-1]]

    def commit(self):
        self.commits.append(dict(self.index))
        self.branches[self.branch].append(len(self.commits) - 1)

    def switch(self, branch):
        """git checkout -f: untracked files stay, unless the branch has them."""
        untracked = {path: text for path, text in self.work.items() if path not in self.index}
        self.branch = branch
        self.index = dict(self.head)
        self.work = {**untracked, **self.head}


class RandomTest(FakeKernelCase):
    """Edits, stagings, commits and switches in random order, then a run of this or that."""

    NAMES = ('mm/memory.c', 'mm/rmap.c', 'mm/a b.c', "lib/it's.c", 'mm/deep/er/new.c',
             'arch/um/kernel/other.c')

    def setUp(self):
        super().setUp()
        # Packed and small: it is copied for each sequence.
        shutil.rmtree(self.kernel / '.git/hooks', ignore_errors=True)
        self.template = self.top / 'template'
        self.git('gc', '-q', '--prune=now')
        self.kernel.rename(self.template)
        self.start = {path: (self.template / path).read_text(encoding='utf-8')
                      for path in subprocess.run(
                          ['git', 'ls-files', '-z'], cwd=self.template, check=True,
                          env=self.environment(), stdout=subprocess.PIPE,
                          encoding='utf-8').stdout.split('\0')[:-1]}
        self.layout = Layout(um_config=self.project / 'um_config', kunit=self.project / 'kunit',
                             kunitconfig=self.project / 'kunitconfig',
                             expected=self.project / 'tests/expected_tests')
        self.home_of_tree = make_dir(self.cache / 'trees') / Directory(
            self.kernel.resolve(), Console()).key

    def test_random_sequences(self):
        seed = int(os.environ.get('UMTHP_TEST_SEED') or random.SystemRandom().randrange(1 << 32))
        first = int(os.environ.get('UMTHP_TEST_SEQUENCE') or 0)
        count = 1 if 'UMTHP_TEST_SEQUENCE' in os.environ else SEQUENCES
        self.runs = 0
        with mock.patch.dict(os.environ, self.environment(), clear=True):
            for number in range(first, first + count):
                self.steps = []
                again = f'UMTHP_TEST_SEED={seed} UMTHP_TEST_SEQUENCE={number}'
                try:
                    self.sequence(random.Random(f'{seed} {number}'), number)
                except BaseException:
                    print(f'\n{again} takes it again; its steps:', *self.steps, sep='\n  ')
                    raise
        self.assertGreaterEqual(self.runs, count)

    def sequence(self, rng, number):
        shutil.rmtree(self.kernel, ignore_errors=True)
        shutil.copytree(self.template, self.kernel, symlinks=True)
        model = Model(self.start)
        for _ in range(rng.randrange(2, 7)):
            self.step(rng, model)
            if rng.random() < 0.15:
                self.run_and_compare(rng, model, False)
        self.run_and_compare(rng, model, number % WHOLE == 0)

    def step(self, rng, model):
        name = rng.choice(self.NAMES)
        step = rng.choice(('edit', 'edit', 'edit', 'delete', 'stage', 'stage all', 'unstage',
                           'commit', 'commit all', 'switch', 'branch'))
        self.steps.append(f'{step} {name}')
        file = self.kernel / name
        if step == 'edit':
            # Of the same size and in the same second as the last one, if luck will have it.
            model.work[name] = f'int v{rng.randrange(1000):03};\n'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(model.work[name])
        elif step == 'delete':
            model.work.pop(name, None)
            file.unlink(missing_ok=True)
        elif step == 'stage':
            # A path that neither work tree nor index has is an error for git.
            if name in model.work or name in model.index:
                self.git('add', '-A', '--', name)
                self.moved(model.work, model.index, name)
        elif step == 'stage all':
            self.git('add', '-A')
            model.index = dict(model.work)
        elif step == 'unstage':
            if name in model.head or name in model.index:
                self.git('reset', '-q', '--', name)
                self.moved(model.head, model.index, name)
        elif step == 'commit':
            self.git('commit', '-q', '--allow-empty', '-m', 'x')
            model.commit()
        elif step == 'commit all':
            self.git('commit', '-q', '-a', '--allow-empty', '-m', 'x')
            for path in list(model.index):
                self.moved(model.work, model.index, path)
            model.commit()
        elif step == 'switch':
            branch = rng.choice(sorted(model.branches))
            self.git('checkout', '-q', '-f', branch)
            model.switch(branch)
        elif step == 'branch':
            branch = f'b{len(model.branches)}'
            self.git('checkout', '-q', '-b', branch)
            model.branches[branch] = list(model.branches[model.branch])
            model.branch = branch

    @staticmethod
    def moved(source, target, path):
        target.pop(path, None)
        if path in source:
            target[path] = source[path]

    def run_and_compare(self, rng, model, whole):
        kind = rng.choice(('work', 'staged', 'commit'))
        self.runs += 1
        rev = None
        if kind == 'commit':
            branch = rng.choice(sorted(model.branches))
            back = rng.randrange(len(model.branches[branch]))
            rev = f'{branch}~{back}'
            wanted = model.commits[model.branches[branch][-1 - back]]
        else:
            wanted = model.work if kind == 'work' else model.index
        self.steps.append(f'run {kind} {rev}')
        before = snapshot(self.kernel)
        if whole:
            self.whole_run(kind, rev)
        else:
            source = Directory(self.kernel.resolve(), Console(quiet=True), rev, kind == 'staged')
            prepare(source, make_dir(self.home_of_tree), self.support, self.layout,
                    Console(quiet=True))
        self.assertEqual(differences(before, snapshot(self.kernel)), [])
        shadow = self.home_of_tree / 'src'
        found = {str(path.relative_to(shadow)): path.read_text(encoding='utf-8')
                 for path in shadow.rglob('*') if path.is_file()}
        self.assertEqual(set(found), set(wanted) | ADDED)
        self.assertEqual({path for path in wanted if found[path] != wanted[path]}, CHANGED)

    def whole_run(self, kind, rev):
        """`umthp run` in this process; what was built is what is in the shadow now."""
        document = self.top / 'f.json'
        words = ['run', '--json', str(document)] + (
            ['--staged'] if kind == 'staged' else ['--rev', rev] if rev else [])
        out = io.StringIO()
        with contextlib.chdir(self.kernel), contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(out), \
                mock.patch('umthp_tool.context.ROOT', self.project):
            self.assertEqual(cli.main(words), 0, out.getvalue())
        tree = json.loads(document.read_text())['tree']
        built = json.loads((self.home_of_tree / 'build/default/umthp-build.json').read_text())
        self.assertEqual(built['tree'], tree)
        for name in ('mm/huge_memory', 'mm/memremap', 'arch/um/kernel/mem'):
            self.assertEqual(
                Path(self.home_of_tree, 'build/default', name + '.o').read_text(),
                Path(self.home_of_tree, 'src', name + '.c').read_text())


if __name__ == '__main__':
    unittest.main()
