import assert from 'node:assert/strict';
import { test } from 'node:test';
import { criuLogName } from '../../common/api/names.js';
import { logData } from './criu-logs.js';

const log = (name: string, text: string) => ({ containerName: 'counter', name, text, endedAt: undefined });

test('each log has a key that says side, container and name', () => {
  assert.deepEqual(
    logData([
      { side: 'source', node: 'a', logs: [log('dump.log', 'dumped\n')] },
      { side: 'target', node: 'b', logs: [log('restore-1.log', 'restored\n')] },
    ]),
    { 'source.counter.dump.log': 'dumped\n', 'target.counter.restore-1.log': 'restored\n' },
  );
});

test('what could not be read and what does not fit is noted', () => {
  const data = logData([
    {
      side: 'source',
      node: 'a',
      logs: [log('dump.log', 'x'.repeat(900_000)), log('runtime.log', 'y'.repeat(200_000))],
    },
    { side: 'target', node: 'b', logs: [], problem: 'The agent on node b cannot be reached.' },
  ]);
  assert.deepEqual(Object.keys(data), ['source.counter.dump.log', 'notes']);
  assert.equal(
    data.notes,
    'runtime.log of container counter on node a is left out for want of room.\n' +
      'The logs on node b (target) could not be read: The agent on node b cannot be reached.\n',
  );
  assert.deepEqual(logData([]), {});
});

test('the name is one that the API server takes, however long the migration’s is', () => {
  assert.equal(criuLogName('counter-x7k2p'), 'counter-x7k2p-criu-log');
  assert.equal(criuLogName('a'.repeat(253)).length, 253);
});
