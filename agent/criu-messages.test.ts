import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainCriuLog, logTail } from './criu-messages.js';

const logs: [line: string, sentence: RegExp][] = [
  [
    "(00.046289) Error (criu/files-ext.c:98): Can't dump file 7 of that type [600] (unknown anon_inode:[io_uring])",
    /io_uring/,
  ],
  [
    '(00.036731) Error (criu/sk-inet.c:190): inet: Connected TCP socket, consider using --tcp-established option.',
    /established TCP/,
  ],
  [
    '(00.02) Error (criu/sk-unix.c:851): unix: External socket is used. Consider using --ext-unix-sk option.',
    /unix socket/,
  ],
  ["(00.02) Error (criu/sk-unix.c:865): unix: Can't dump half of stream unix connection.", /unix socket/],
  [
    "(00.1) Error (criu/files-reg.c:1031): Can't dump ghost file /tmp/x of 734003200 size, increase limit",
    /deleted file open that is larger/,
  ],
  [
    '(00.2) Error (criu/files-reg.c:2230): File data/counter.log has bad size 479 (expect 439)',
    /another size here/,
  ],
  [
    "(00.2)      1: Error (criu/sk-inet.c:1015): inet: Can't bind inet socket (id 32): Cannot assign requested address",
    /bound to an address/,
  ],
  [
    '(00.1) Error (criu/mount.c:1088): mnt: No parent found for mountpoint 602 (@./proc)',
    /a mount that CRIU cannot follow/,
  ],
  [
    "(00.1) Error (criu/cr-restore.c:1300): Can't fork for 12: File exists",
    /process ID that it had is taken/,
  ],
  ['(00.0) Error (criu/vdso.c:201): vdso: Unexpected rt vDSO area bounds', /kernel \(vDSO\)/],
  [
    '(00.0) Error (criu/pie/x.c:1): something that nobody has seen',
    /CRIU says "something that nobody has seen"/,
  ],
];
for (const [line, sentence] of logs) {
  test(`explained: ${line.slice(line.indexOf('Error'), 90)}`, () => {
    const log = `(00.000001) Version: 4.2.1\n(00.001) rlimit: Can't setup RLIMIT_NOFILE for self\n${line}\n(00.3) Error (criu/cr-dump.c:2128): Dumping FAILED.`;
    const finding = explainCriuLog(log);
    assert.match(finding?.sentence ?? '', sentence);
    assert.ok(finding?.hint);
  });
}

test('a log without errors explains nothing, nor does the limit that CRIU cannot raise', () => {
  assert.equal(explainCriuLog('(00.1) Version: 4.2.1\n'), undefined);
  assert.equal(
    explainCriuLog(
      "(00.0) Error (criu/rlimit.c:12): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
    ),
    undefined,
  );
});

test('the end of a log is whole lines', () => {
  assert.equal(logTail('first line\nsecond\nthird\n', 10), 'third');
  assert.equal(logTail('short\n'), 'short');
});
