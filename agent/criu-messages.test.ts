import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ALL_RULES, errorLines, explainCriuLog, findRule, logTail } from './criu-messages.js';

/** Lines as CRIU 4.2 writes them, each followed by "  = " and what is to be made of it. */
const examples = readFileSync(new URL('testdata/criu-lines.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split(/\n(?! {2}= )/)
  .map((block) => block.split('\n  = ') as [line: string, sentence: string]);

/** What runc 1.3 and crun 1.28 say on stderr. */
const said: [words: string, sentence: string][] = [
  [
    'time="2026-11-28T03:36:58Z" level=error msg="exec: \\"criu\\": executable file not found in $PATH"',
    'CRIU is not installed on this node',
  ],
  [
    'could not load `libcriu.so.2`: `libcriu.so.2: cannot open shared object file`',
    'CRIU is not installed on this node',
  ],
  ['time="…" level=error msg="CRIU version 31500 must be 40100 or higher"', 'CRIU on this node is too old'],
  ['time="…" level=error msg="criu failed: signal: killed"', 'CRIU was ended by somebody (signal: killed)'],
  ['time="…" level=error msg="unexpected EOF"', 'CRIU ended without an answer'],
  ['time="…" level=error msg="container does not exist"', 'its container is not there any more'],
  [
    'time="…" level=error msg="Container cannot be checkpointed in stopped state"',
    'its container is in the state stopped',
  ],
  [
    'time="…" level=error msg="container with given ID already exists"',
    'a container of that ID is there already',
  ],
  ['checkpointing requires root', 'the container runtime was not run as root'],
  [
    'criu lacks support for external network namespace during checkpointing process (old criu version?)',
    'CRIU on this node lacks something that the container runtime needs',
  ],
  ['Requested network namespace /proc/1/ns/net does not exist', "the pod's network namespace is not there"],
  [
    'create criu restore mountpoint for /etc/hosts mount: not a directory',
    'the place /etc/hosts for a mount could not be made in the container',
  ],
];

const logOf = (line: string): string =>
  [
    '(00.000001) Version: 4.2.1 (gitid 0)',
    "(00.001130) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
    line,
    '(00.028439) Error (criu/cr-dump.c:1545): Dump files (pid: 528) failed with -1',
    '(00.028440) Error (criu/cgroup.c:2055): cg: cgroupd: recv req error: No such file or directory',
    '(00.028441) Error (criu/cr-dump.c:1975): Dumping FAILED.',
  ].join('\n');

for (const [line, sentence] of examples) {
  test(`explained: ${line.slice(line.indexOf('Error'), 100)}`, () => {
    const finding = explainCriuLog(logOf(line));
    assert.equal(finding?.sentence, sentence);
    assert.match(finding.hint, /^\S.*\.$/s, 'a sentence that says what to do');
  });
}

for (const [words, sentence] of said) {
  test(`explained without a log: ${words.slice(0, 90)}`, () => {
    const finding = explainCriuLog('', words);
    assert.equal(finding?.sentence, sentence);
    assert.match(finding.hint, /^\S.*\.$/s);
  });
}

test('there is an example of every rule', () => {
  const lines = [...examples.map(([line]) => errorLines(line)[0] ?? ''), ...said.map(([words]) => words)];
  const used = new Set(
    lines.map((line) => findRule([line.replace(/^Error \([^)]*\):\s*/, '')], ALL_RULES)?.rule),
  );
  const unused = ALL_RULES.filter((rule) => !used.has(rule)).map(({ pattern }) => String(pattern));
  assert.deepEqual(unused, []);
});

// Seen on a node with CRIU 4.2.1 and runc 1.3.6, where it was done on purpose; shortened to the errors.
test('of a chain of errors the first that says something is the cause', () => {
  const iouring = `pie: 1: Error (criu/pie/parasite.c:588): send_fds failed (-22)
(00.015388) Error (criu/parasite-syscall.c:280): Can't retrieve FDs from socket
(00.015392) Error (compel/src/lib/infect-rpc.c:44): Message reply from daemon is trimmed (12/0)
(00.015403) Error (criu/cr-dump.c:1545): Dump files (pid: 3587) failed with -1
(00.016000) Error (criu/cr-dump.c:1975): Dumping FAILED.`;
  assert.match(explainCriuLog(iouring)?.sentence ?? '', /io_uring/);
  const full = `(00.058013) Error (criu/page-xfer.c:263): page-xfer: Unable to spice data: No space left on device
(00.058038) Error (criu/bfd.c:131): bfd: Error flushing image: No space left on device
(00.058157) Error (criu/mem.c:718): Can't dump page with parasite
(00.062200) Error (criu/cr-dump.c:1975): Dumping FAILED.`;
  assert.match(explainCriuLog(full)?.sentence ?? '', /disk is full/);
  const folder = `(00.018074)      1: Error (criu/files-reg.c:2353): Can't open file data/d on restore: No such file or directory
(00.018076)      1: Error (criu/files-reg.c:2267): Can't open file data/d: No such file or directory
(00.018077)      1: Error (criu/files.c:1399): Can't open cwd
(00.019176) Error (criu/cr-restore.c:1265): 1669 exited, status=1
(00.019478) Error (criu/cr-restore.c:2331): Restoring FAILED.
(00.021122) Error (criu/cgroup.c:2055): cg: cgroupd: recv req error: No such file or directory`;
  assert.match(
    explainCriuLog(folder)?.sentence ?? '',
    /^the file \/data\/d, which it had open, cannot be opened/,
  );
  const program = `(00.180355)      1: Error (criu/files-reg.c:2175): File usr/bin/perl has bad size 4123858 (expect 4123856)
(00.180361)      1: Error (criu/mem.c:1467): \`- Can't open vma
(00.181331) Error (criu/cr-restore.c:2331): Restoring FAILED.`;
  assert.match(
    explainCriuLog(program)?.sentence ?? '',
    /^the file \/usr\/bin\/perl, which it uses, has 4123858 bytes/,
  );
  const parasite = `(00.011875) Error (compel/arch/x86/src/lib/infect.c:401): Can't set FPU registers for 463985: Bad address
(00.011880) Error (compel/src/lib/infect.c:1471): Parasite exited with -1
(00.011882) Error (criu/parasite-syscall.c:202): Can't init thread in parasite 463985
(00.011884) Error (criu/cr-dump.c:854): Can't dump thread for pid 463985`;
  assert.match(explainCriuLog(parasite)?.sentence ?? '', /does not know all registers/);
});

test('a consequence is told only when there is nothing else', () => {
  const both = `(00.1) Error (criu/cr-restore.c:1269): 41 killed by signal 9: Killed
(00.2)     41: Error (criu/files-reg.c:2175): File data/f has bad size 8 (expect 3)`;
  assert.match(explainCriuLog(both)?.sentence ?? '', /has 8 bytes/);
});

test('an error that nobody has translated is quoted, but not one that only says that there was one', () => {
  const log = `(00.1) Error (criu/cr-dump.c:1545): Dump files (pid: 528) failed with -1
(00.2)      7: Error (criu/new.c:1): something that nobody has seen
(00.3) Error (criu/cr-dump.c:1975): Dumping FAILED.`;
  assert.equal(explainCriuLog(log)?.sentence, 'CRIU says "something that nobody has seen"');
  const onlyThat = '(00.3) Error (criu/cr-dump.c:1975): Dumping FAILED.';
  assert.equal(explainCriuLog(onlyThat)?.sentence, 'CRIU says "Dumping FAILED."');
});

test('a log that ends in the middle is that of a CRIU that was killed', () => {
  const killed = '(00.1) Version: 4.2.1\n(00.2) SEIZE 7662 (comm perl): success\n(00.3) Dumping pages (pi';
  assert.match(explainCriuLog(killed)?.sentence ?? '', /ended in the middle of its work without a word/);
  assert.equal(
    explainCriuLog(killed, 'level=error msg="criu failed: signal: killed"')?.sentence,
    'CRIU was ended by somebody (signal: killed)',
  );
  assert.equal(explainCriuLog('(00.4) Dumping finished successfully\n'), undefined);
  assert.equal(explainCriuLog(''), undefined);
});

test('the end of a log is whole lines', () => {
  assert.equal(logTail('first line\nsecond\nthird\n', 10), 'third');
  assert.equal(logTail('short\n'), 'short');
});
