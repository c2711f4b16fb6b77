/** Which way a cluster has our programs: as they are installed unless somebody says otherwise, and as it was made ever after. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWay } from './cluster-installed.js';
import { layoutOf } from './layout.js';

const layout = layoutOf('/nowhere/c');
const pods = { installed: true };
const processes = { installed: false };

test('a new cluster has agents and controller as pods, unless processes are asked for or the test build is', () => {
  assert.deepEqual(chooseWay(layout, undefined, {}), pods);
  assert.deepEqual(chooseWay(layout, undefined, { processes: false }), pods);
  assert.deepEqual(chooseWay(layout, undefined, { processes: true }), processes);
  assert.deepEqual(chooseWay(layout, undefined, { faults: true }), processes);
});

test('one that is there stays as it is when nothing is said', () => {
  assert.deepEqual(chooseWay(layout, pods, {}), pods);
  assert.deepEqual(chooseWay(layout, processes, {}), processes);
});

test('one that is there is not made into the other', () => {
  const refused =
    /^Error: The cluster in \/nowhere\/c has agents and controller as (pods|processes)\. Take it down first/;
  assert.throws(() => chooseWay(layout, pods, { processes: true }), refused);
  assert.throws(() => chooseWay(layout, pods, { faults: true }), refused);
  assert.throws(() => chooseWay(layout, processes, { processes: false }), refused);
});

test('the test build cannot be had as pods', () => {
  assert.throws(() => chooseWay(layout, undefined, { faults: true, processes: false }), /no fault points/);
});
