# SPDX-License-Identifier: GPL-2.0
"""A page in headless Chromium, asked and operated through its debugging pipe."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

CHROMIUM = shutil.which('chromium')
needs_chromium = unittest.skipUnless(CHROMIUM, 'apt install chromium, to look at pages')
SECONDS = 60
# Windows key codes of the DevTools protocol.
KEYS = {'Tab': 9, 'Enter': 13, 'Escape': 27, 'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39,
        'ArrowDown': 40}


class Browser:
    """One tab. Every wait ends after SECONDS with a failure."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix='umthp-chromium-')
        command, self._to = os.pipe()
        self._from, answers = os.pipe()

        def in_child():
            # 3 and 4 are the pipe; they may be in use, also for one another.
            high = [os.dup(command), os.dup(answers)]
            while min(high) < 5:
                high = [os.dup(fd) for fd in high]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
        self.process = subprocess.Popen(
            [CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
             # /dev/shm may be small, or nobody's: in a container it is.
             '--disable-dev-shm-usage', '--remote-debugging-pipe',
             f'--user-data-dir={self.profile}', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=in_child)
        os.close(command)
        os.close(answers)
        self._number = 0
        self._pending = b''
        self._session = None
        self.requests = []
        self.errors = []
        target = next(one for one in self.call('Target.getTargets')['targetInfos']
                      if one['type'] == 'page')
        self._session = self.call('Target.attachToTarget', targetId=target['targetId'],
                                  flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(domain + '.enable')

    def close(self):
        os.close(self._to)
        self.process.terminate()
        self.process.wait(SECONDS)
        os.close(self._from)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **params):
        """One command of the protocol, and its answer."""
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': params}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._to, json.dumps(message).encode() + b'\0')
        return self._wait(lambda answer: answer.get('id') == self._number)['result']

    def _wait(self, wanted):
        end = time.monotonic() + SECONDS
        while True:
            *messages, self._pending = self._pending.split(b'\0')
            for raw in messages:
                message = json.loads(raw)
                self._note(message)
                if wanted(message):
                    if 'error' in message:
                        raise AssertionError(message['error'])
                    # What came behind it stays.
                    rest = messages[messages.index(raw) + 1:]
                    self._pending = b'\0'.join([*rest, self._pending])
                    return message
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError('chromium does not answer')
            block = os.read(self._from, 1 << 20)
            if not block:
                raise AssertionError(f'chromium ended: {self.process.wait()}')
            self._pending += block

    def _note(self, message):
        params = message.get('params', {})
        if message.get('method') == 'Network.requestWillBeSent':
            self.requests.append(params['request']['url'])
        elif message.get('method') == 'Runtime.exceptionThrown':
            self.errors.append(str(params['exceptionDetails']))
        elif message.get('method') == 'Log.entryAdded':
            self.errors.append(params['entry']['text'])

    def size(self, width, height, dark=False):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def open(self, path: Path, fragment=''):
        self.requests.clear()
        self.errors.clear()
        self.call('Page.navigate', url='about:blank')
        self.call('Page.navigate', url=path.as_uri() + fragment)
        self.until('document.readyState === "complete" && location.protocol === "file:"')

    def ask(self, expression):
        """The value of an expression in the page."""
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True,
                           awaitPromise=True)
        if 'exceptionDetails' in answer:
            raise AssertionError(answer['exceptionDetails'])
        return answer['result'].get('value')

    def until(self, expression):
        """Wait until an expression is true: the page tells when, frame by frame."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.ask(f'new Promise((go) => requestAnimationFrame(() => go(!!({expression}))))'):
                return
        raise AssertionError(f'never true: {expression}')

    def press(self, key):
        code = KEYS[key]
        text = {'text': '\r'} if key == 'Enter' else {}
        self.call('Input.dispatchKeyEvent', type='keyDown' if text else 'rawKeyDown', key=key,
                  code=key, windowsVirtualKeyCode=code, **text)
        self.call('Input.dispatchKeyEvent', type='keyUp', key=key, code=key,
                  windowsVirtualKeyCode=code)

    def screenshot(self, path: Path):
        data = self.call('Page.captureScreenshot', format='png')['data']
        path.write_bytes(base64.b64decode(data))
