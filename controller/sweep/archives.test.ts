import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListArchivesResponse } from '../../proto/gen/lpm/v1/agent.js';
import { findStray, repositoryHoldings, type ArchiveOwners, type NodeArchives } from './archives.js';

const lists = (
  node: string,
  archives: { uri: string; checkpointUid?: string; nodeName?: string }[],
  shared = true,
): NodeArchives => ({
  node,
  answer: ListArchivesResponse.fromPartial({
    archives: archives.map((one) => ({
      checkpointUid: 'gone',
      containerName: 'counter',
      nodeName: node,
      bytes: 10n,
      ...one,
    })),
    repository: { shared, freeBytes: 1000n },
  }),
});
const owners = (change: Partial<ArchiveOwners> = {}): ArchiveOwners => ({
  contents: [],
  working: new Set(),
  ...change,
});
const content = (uri: string, nodeName = 'a', checkpointUid = 'other') => ({
  uri,
  nodeName,
  checkpointUid,
  containerName: 'counter',
});
const uris = (nodes: NodeArchives[], change: Partial<ArchiveOwners>) =>
  findStray(nodes, owners(change)).map(({ node, uri }) => `${node} ${uri}`);

test('what several nodes see in the repository is removed once, by the node that made it', () => {
  const both = [lists('a', [{ uri: 'shared://x', nodeName: 'b' }]), lists('b', [{ uri: 'shared://x' }])];
  assert.deepEqual(uris(both, {}), ['b shared://x']);
  assert.deepEqual(uris([both[0]!], {}), ['a shared://x'], 'its node is gone');
  assert.deepEqual(repositoryHoldings(both), { archives: 1, bytes: 10, freeBytes: 1000, nodes: 2 });
});

test('what a content names stays, on the node that it names', () => {
  const nodes = [lists('a', [{ uri: 'file:///x' }]), lists('b', [{ uri: 'file:///x' }])];
  assert.deepEqual(uris(nodes, { contents: [content('file:///x')] }), ['b file:///x']);
});

test('both copies of an archive that a content was made for stay', () => {
  const nodes = [
    lists('a', [
      { uri: 'file:///x', checkpointUid: 'mine' },
      { uri: 'shared://x', checkpointUid: 'mine' },
    ]),
  ];
  assert.deepEqual(uris(nodes, { contents: [content('shared://x', 'a', 'mine')] }), []);
});

test('what a checkpoint that is being taken has made stays', () => {
  const nodes = [lists('a', [{ uri: 'file:///x', checkpointUid: 'now' }])];
  assert.deepEqual(uris(nodes, { working: new Set(['now']) }), []);
});
