/** A dry run of several pods: of each whether it could be moved, and if not, why. */
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import type { MigrationWish } from '../migrate/create.js';
import { left, unfinished } from '../several/move.js';
import type { Result } from '../several/result.js';
import { sentence } from '../progress/summary.js';
import { askPreflight } from './ask.js';
import { failed } from './report.js';

export async function tryMove(
  client: KubeClient,
  pod: Pod,
  wish: Omit<MigrationWish, 'pod'>,
  around: { detach: AbortSignal; note: (text: string) => void },
): Promise<Result> {
  const { name, namespace = 'default' } = pod.metadata;
  const { how, object } = await askPreflight(client, namespace, { ...wish, pod: name }, around);
  const { checks = [], message = '', warnings = [] } = object?.status ?? {};
  switch (how) {
    case 'succeeded':
      return { ...left(pod, warnings.join(' '), true), outcome: 'Movable' };
    case 'failed':
      return left(
        pod,
        failed(checks)
          .map((check) => check.message)
          .join(' ') || sentence(message),
        true,
      );
    case 'deleted':
      return unfinished(pod, 'Its preflight was deleted.');
    case 'timedOut':
      return unfinished(pod, 'The controller has not answered.');
    case 'detached':
      return unfinished(pod, 'Not looked at when this was left.');
  }
}
