/** Plays a scenario against the local cluster and compares it with what a real one was recorded doing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { KubeClient } from '../../../common/kube/client.js';
import { comparable } from './compare.js';
import type { Recording } from './describe.js';
import { play, type Scenario } from './play.js';

export async function happensAsRecorded(
  client: KubeClient,
  scenario: Scenario,
  times: { quietMs: number; stepTimeoutMs: number },
): Promise<void> {
  const file = new URL(`recorded/${scenario.name}.json`, import.meta.url);
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recording;
  const played = await play(client, scenario, { ...times, origin: 'local cluster' });
  const equalPods = scenario.equalPods ?? false;
  assert.deepEqual(comparable(played, equalPods), comparable(recorded, equalPods));
}
