import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LpmError } from './errors.js';
import { sentence } from './sentence.js';

test('a text of somebody else ends like a sentence', () => {
  assert.equal(
    sentence('container is not created: exit status 1'),
    'container is not created: exit status 1.',
  );
  assert.equal(sentence('It is. \n'), 'It is.');
  for (const text of ['Is it?', 'It is!', 'It goes on…', 'and so on ...', ''])
    assert.equal(sentence(text), text);
});

test('two full stops are one', () => {
  assert.equal(sentence('The runtime says: it is gone..'), 'The runtime says: it is gone.');
});

test('what follows an error never runs into it', () => {
  // As CRI-O says it.
  const error = new LpmError('RuntimeUnavailable', 'The runtime says: container 6ec08a9d is not created');
  assert.equal(
    `${error.message} Its files were put back.`,
    `${error.message.slice(0, -1)}. Its files were put back.`,
  );
});
