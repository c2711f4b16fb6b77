import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { criuText, whyNoCriuLogs } from './criu.js';
import { eventLine, inOrder, programLine, subjectOf } from './lines.js';

const migration = {
  metadata: { name: 'counter-x', namespace: 'shop', uid: 'm' },
  spec: { podName: 'counter' },
  status: {
    phase: 'Failed',
    sourceNode: 'a',
    targetNode: 'b',
    sourcePodUID: 's',
    completionTime: '2026-11-28T03:00:10Z',
    conditions: [{ type: 'Checkpointed', status: 'False', reason: 'Freezing', message: '' }],
  },
} as unknown as PodMigration;
const subject = subjectOf(migration, 'c');
const line = (fields: object) => JSON.stringify({ time: '2026-11-28T03:00:01.5Z', level: 'info', ...fields });

test('a program’s line belongs to the migration when it names it or one of its objects', () => {
  const belongs = (fields: object) =>
    programLine('x', line({ message: 'text', ...fields }), subject) !== undefined;
  assert.ok(belongs({ migration: 'shop/counter-x' }));
  for (const field of ['pod_uid', 'checkpoint_uid', 'restore_uid']) {
    assert.ok(
      ['s', 'c', 'm'].some((uid) => belongs({ [field]: uid })),
      field,
    );
  }
  assert.ok(!belongs({ migration: 'shop/counter-y' }));
  assert.ok(!belongs({ pod_uid: 'other' }));
  for (const text of ['', 'panic: at the disco', '7', 'null', '["m"]'.slice(0, 3)]) {
    assert.equal(programLine('x', text, subject), undefined, text);
  }
});

test('lines of all origins stand in the order of their times, each on one line', () => {
  const agent = programLine(
    'agent on a',
    line({
      message: 'the checkpoint failed',
      checkpoint_uid: 'c',
      error: 'two\nlines',
      bytes: 7,
      log: 'long',
    }),
    subject,
  );
  const event = eventLine({
    metadata: { name: 'e' },
    involvedObject: { kind: 'PodMigration', name: 'counter-x' },
    type: 'Warning',
    reason: 'CriuDumpFailed',
    message: 'first\nsecond',
    count: 2,
    lastTimestamp: '2026-11-28T03:00:01Z',
  } as never);
  assert.deepEqual(inOrder([agent!, event]), [
    '2026-11-28T03:00:01Z    event of PodMigration/counter-x  Warning  CriuDumpFailed: first second (2 times)',
    '2026-11-28T03:00:01.5Z  agent on a                       info     the checkpoint failed checkpoint_uid=c error="two\\nlines" bytes=7',
  ]);
});

test('CRIU’s logs stand below headings that say what they are, the dump first', () => {
  const { texts, notes } = criuText(migration, {
    'target.app.restore-1.log': 'restored\n',
    'source.app.dump.log': '(00.1) dumped\n',
    notes: 'Something is missing.\n',
  });
  assert.deepEqual(texts, [
    '==> dump.log of container app on source node a <==\n(00.1) dumped',
    '==> restore-1.log of container app on target node b <==\nrestored',
  ]);
  assert.deepEqual(notes, ['Something is missing.']);
});

test('where there is no log of CRIU, it is said why', () => {
  const why = (status: object) =>
    whyNoCriuLogs({ ...migration, status: { ...migration.status, ...status } } as PodMigration);
  assert.match(why({ phase: 'RestoreInProgress' }), /goes on \(RestoreInProgress\)/);
  assert.match(why({ conditions: [] }), /ended before anything was frozen/);
  assert.match(
    why({}),
    /no ConfigMap counter-x-criu-log .* 14 days below \/var\/lib\/lpm\/logs on a and b\.$/,
  );
});
