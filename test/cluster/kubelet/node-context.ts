import { messageOf } from '../../../common/errors.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { Cri } from '../cri.js';
import type { Backoff } from './backoff.js';
import type { EventRecorder } from './events.js';
import type { ApiSources } from './sources.js';

/** What all workers of a node share. */
export interface NodeContext {
  kube: KubeClient;
  cri: Cri;
  events: EventRecorder;
  backoff: Backoff;
  sources: ApiSources;
  nodeName: string;
  hostIp: string;
  memoryCapacity: number;
  log: (message: string) => void;
}

/** gRPC errors say their code first; people want the sentence. */
export const detailsOf = (error: unknown): string =>
  (error as { details?: string }).details || messageOf(error);
