# SPDX-License-Identifier: GPL-2.0
"""umthp shell: a fake guest runs the command on this machine; ttys, exit codes, what is left."""

import fcntl
import os
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

from fake_kernel import FakeKernelCase, filled
from support import PROJECT

from umthp_tool import busybox, shell, shell_root
from umthp_tool.errors import UsageError

BUSYBOX = '#!/bin/sh\nprintf "[\\nbusybox\\ncat\\nsh\\n"\n'
# No real kernel, so no programs; and a busybox that is a script.
NO_PROGRAMS = '\n_programs = lambda userland, context: []\n'
ANY_BUSYBOX = '\nis_static = lambda path: path.exists()\n'


class ShellCase(FakeKernelCase):

    def setUp(self):
        super().setUp()
        shutil.copytree(PROJECT / 'tools/userland', self.project / 'tools/userland')
        for name, text in (('shell', NO_PROGRAMS), ('busybox', ANY_BUSYBOX)):
            with open(self.project / f'tools/umthp_tool/{name}.py', 'a', encoding='utf-8') as file:
                file.write(text)
        self.put('bin/busybox', BUSYBOX)
        (self.top / 'bin/busybox').chmod(0o755)
        self.guest()

    def guest(self, before='', after='', shell_=':'):
        self.put('linux/linux.sh', filled('guest.sh', before=before, after=after, shell=shell_))

    def environment(self, **change):
        env = super().environment(**change)
        env['PATH'] = f'{self.top / "bin"}:{env["PATH"]}'
        return env

    def shell(self, exit_code, *command, options=()):
        done = self.umthp('shell', *options, '--', *command)
        self.assertEqual(done.returncode, exit_code, done.stdout + done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        return done

    def assert_nothing_is_left(self):
        self.assert_no_child_is_left()
        left = [path.name for path in (self.cache / 'shell').iterdir()]
        self.assertEqual([name for name in left if name != 'kernel.log'], [])


class CommandTest(ShellCase):

    def test_output_errors_and_exit_code_are_those_of_the_command(self):
        done = self.shell(7, 'sh', '-c', 'echo out; echo err >&2; exit 7')
        self.assertEqual((done.stdout, done.stderr.splitlines()[-1]), ('out\n', 'err'))
        self.assertEqual(self.shell(0, 'true').stdout, '')
        self.assertEqual(self.shell(137, 'sh', '-c', 'kill -9 $$').stdout, '')
        self.assert_nothing_is_left()

    def test_any_word_arrives_as_it_is(self):
        words = ['a b', '', "it's", '"$HOME"', 'two\nlines', '--', '-v', '*', 'u\u00fc\udcff']
        done = self.shell(0, 'printf', '%s|', *words)
        self.assertEqual(done.stdout, ''.join(word + '|' for word in words))

    def test_all_of_a_long_output_arrives(self):
        text = ''.join(f'{number}\n' for number in range(200000))
        self.assertEqual(self.shell(0, 'seq', '0', '199999').stdout, text)

    def test_reader_that_goes_away_ends_the_guest(self):
        process = subprocess.Popen(self.command('shell', '--', 'yes'), cwd=self.kernel,
                                   env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(process.stdout.readline(), b'y\n')
        process.stdout.close()
        self.assertEqual(process.wait(60), 141)
        self.assert_nothing_is_left()

    def test_complaint_of_the_kernel_is_no_pass(self):
        self.guest(after='echo "WARNING: mm/huge_memory.c:1 at f+0x1/0x2"')
        self.assertIn('the kernel complained: WARNING: mm/huge_memory.c:1',
                      self.shell(1, 'true').stderr)
        self.shell(5, 'sh', '-c', 'exit 5')

    def test_guest_that_dies_is_a_crash(self):
        for before, words in (('echo "Kernel panic - not syncing: x"; exit 1', 'not syncing: x'),
                              ('echo start >"$tty3"; exit 0', 'the kernel ended before')):
            with self.subTest(before=before):
                self.guest(before=before)
                self.assertIn(words, self.shell(8, 'true').stderr)

    def test_guest_whose_init_fails_says_why(self):
        self.guest(before='echo "error cannot mount /sys" >"$tty3"; exit 0')
        self.assertIn('the guest cannot start: cannot mount /sys', self.shell(7, 'true').stderr)

    def test_time_out(self):
        done = self.shell(8, 'sleep', '1000', options=['--timeout', '1'])
        self.assertIn('sleep was still running when the time was up', done.stderr)
        self.assert_nothing_is_left()

    def test_tree_is_free_while_the_command_runs(self):
        fifo = self.top / 'fifo'
        os.mkfifo(fifo)
        process = subprocess.Popen(self.command('shell', '--', 'cat', str(fifo)), cwd=self.kernel,
                                   env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with open(fifo, 'w', encoding='ascii') as writer:
            # The command has it open: the guest runs.
            self.set_boot('good')
            self.expect(0, 'run')
            self.assertIn('in use', self.expect(7, 'clean').stderr)
            writer.write('end\n')
        self.assertEqual(process.communicate(timeout=60)[0].splitlines()[-1], b'end')

    def test_usage(self):
        self.assertIn('needs a terminal', self.expect(2, 'shell').stderr)
        self.assertIn('no command after --', self.expect(2, 'shell', '--').stderr)
        self.assertIn('not a directory', self.shell(2, 'true',
                                                    options=['--share', '/nowhere']).stderr)
        self.assertEqual(shell.split_command(['run', '--', 'x']), (['run', '--', 'x'], None))
        self.assertEqual(shell.split_command(['shell', '-v', '--', 'x', '--']),
                         (['shell', '-v'], ['x', '--']))
        self.assertRegex(self.expect(0, 'shell', '--dry-run').stdout, r'linux mem=2560M .*ROOT')


class TerminalTest(ShellCase):
    """The command in a terminal: this process holds the other side of a pty."""

    def start(self):
        """The command with a pty as its controlling terminal; this process keeps both ends."""
        self.terminal, slave = os.openpty()
        self.addCleanup(os.close, self.terminal)
        self.addCleanup(os.close, slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
        self.settings = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            self.command('shell'), cwd=self.kernel, env=self.environment(), stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(self.process.kill)

    def read_until(self, wanted):
        """What the terminal shows, up to `wanted`."""
        shown = b''
        deadline = time.monotonic() + 60
        while wanted not in shown:
            ready = select.select([self.terminal], [], [], deadline - time.monotonic())[0]
            self.assertTrue(ready, shown)
            shown += os.read(self.terminal, 65536)
        return shown

    def end(self, wanted):
        """The command ends with this exit code; what the terminal shows by then."""
        status = self.process.wait(60)
        shown = b''
        while select.select([self.terminal], [], [], 0)[0]:
            shown += os.read(self.terminal, 65536)
        self.assertEqual(status, wanted, shown)
        self.assertNotIn(b'Traceback', shown)
        self.assertEqual(termios.tcgetattr(self.terminal), self.settings)
        self.assert_nothing_is_left()
        return shown

    def test_shell_has_the_terminal_and_its_size(self):
        self.guest(shell_='echo ready >"$tty1"; read -r line <"$tty1"; echo "got $line" >"$tty1"; '
                   'stty size <"$tty1" >"$tty1"; (exit 3)')
        self.start()
        self.read_until(b'ready')
        os.write(self.terminal, b'hello\n')
        # The kernel has a console of its own: what it says may come in between.
        self.assertRegex(self.end(3), rb'(?s)got hello\s.*33 77')

    def test_messages_of_the_kernel_come_to_the_terminal(self):
        self.guest(shell_='echo ready >"$tty1"; read -r _ <"$tty1"; echo "a $(printf \'\\e\') b"; '
                   'read -r _ <"$tty1"')
        self.start()
        self.read_until(b'ready')
        os.write(self.terminal, b'\n')
        # Nothing that a terminal would act upon.
        self.read_until(b'\r\na \\x1b b\r\n')
        os.write(self.terminal, b'\n')
        self.end(0)

    def test_control_c_is_the_guests(self):
        self.guest(shell_='stty raw <"$tty1"; echo ready >"$tty1"; '
                   'head -c 1 <"$tty1" | od -An -tx1 >"$tty1"')
        self.start()
        self.read_until(b'ready')
        self.assertNotEqual(termios.tcgetattr(self.terminal), self.settings)
        os.write(self.terminal, b'\x03')
        self.read_until(b'03')
        self.end(0)

    def test_escape_and_signals_kill_a_guest_that_hangs(self):
        self.guest(shell_='echo ready >"$tty1"; exec sleep 1000')
        for how, wanted in ((b'\x1d', 137), (15, 143), (1, 129)):
            with self.subTest(how=how):
                self.start()
                self.read_until(b'ready')
                if isinstance(how, bytes):
                    os.write(self.terminal, how)
                else:
                    self.process.send_signal(how)
                self.end(wanted)

    def test_control_c_before_the_shell_is_there_ends_it(self):
        self.guest(before='sleep 1000')
        self.start()
        deadline = time.monotonic() + 60
        while not list(self.cache.glob('shell/umthp-run-*/kernel.log')):
            self.assertIsNone(self.process.poll())
            self.assertLess(time.monotonic(), deadline)
        os.write(self.terminal, b'\x03')
        self.assertIn(b'interrupted by SIGINT', self.end(130))

    def test_power_off_in_the_shell_is_an_end_like_another(self):
        self.guest(shell_='echo "reboot: Power down"; exit 0')
        self.start()
        self.end(0)


class RootTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-shell-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_program_replaces_the_applet_of_its_name(self):
        fake = self.folder / 'busybox'
        fake.write_text(BUSYBOX)
        fake.chmod(0o755)
        program = self.folder / 'cat'
        program.write_text('mine')
        root = self.folder / 'root'
        root.mkdir()
        shell_root.make(root, fake, [program], None, {'version': '7.3.4', 'variant': 'x'})
        self.assertEqual((root / 'bin/cat').read_text(), 'mine')
        self.assertEqual(os.readlink(root / 'bin/sh'), 'busybox')
        self.assertFalse((root / 'etc/command').exists())
        self.assertIn('Ready: cat.', (root / 'etc/motd').read_text())

    def test_path_that_uml_cannot_mount(self):
        for name in ('a b', 'a,b'):
            (self.folder / name).mkdir()
            with self.assertRaisesRegex(UsageError, 'a space or a comma'):
                shell_root.share_path(str(self.folder / name))

    def test_what_is_a_static_program(self):
        def elf(machine=62, segment=1, magic=b'\x7fELF\x02\x01'):
            header = bytearray(64)
            header[:6] = magic
            struct.pack_into('<H', header, 18, machine)
            struct.pack_into('<Q', header, 32, 64)
            struct.pack_into('<HH', header, 54, 56, 2)
            return bytes(header) + struct.pack('<I52x', 1) + struct.pack('<I52x', segment)
        for content, wanted in ((elf(), True), (elf(segment=3), False), (elf(machine=183), False),
                                (elf(magic=b'\x7fELF\x01\x01'), False), (b'', False),
                                (b'#!/bin/sh\n' * 20, False), (elf()[:70], False)):
            path = self.folder / 'program'
            path.write_bytes(content)
            self.assertEqual(busybox.is_static(path), wanted, content[:20])
        self.assertFalse(busybox.is_static(self.folder / 'nothing'))


if __name__ == '__main__':
    unittest.main()
