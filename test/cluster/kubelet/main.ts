/**
 * The kubelet stand-in of the local cluster: runs inside a node, speaks CRI to the node's containerd and HTTPS to the
 * API server. It does what a migration and its tests need of a kubelet, the way the kubelet does it: same labels,
 * paths, cgroups, order of starts, back-offs and grace periods. Probes of kind grpc, eviction under pressure, static pods
 * and image pulls are left out.
 *
 *   kubelet.mjs --node-name N --node-ip IP --pod-cidr CIDR --kubeconfig F --tls-cert F --tls-key F --client-ca F
 *               [--cri-socket S] [--port 10250] [--restart-backoff-ms 10000] [--labels a=b,c=d] [--taints key=value:Effect,…]
 */
import { totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../common/errors.js';
import { KubeClient } from '../../../common/kube/client.js';
import { loadProgramConfig } from '../../../common/kube/config.js';
import { ListWatch } from '../../../common/kube/list-watch.js';
import { openCri } from '../cri.js';
import { Backoff } from './backoff.js';
import { EventRecorder } from './events.js';
import { keepNodeStatus } from './node-status.js';
import { podKey, type Pod } from './pod.js';
import { PodSet } from './pod-set.js';
import { startServer } from './server.js';
import { ApiSources } from './sources.js';

const { values } = parseArgs({
  options: {
    'node-name': { type: 'string' },
    'node-ip': { type: 'string' },
    'pod-cidr': { type: 'string' },
    kubeconfig: { type: 'string' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'client-ca': { type: 'string' },
    'cri-socket': { type: 'string', default: '/run/containerd/containerd.sock' },
    port: { type: 'string', default: '10250' },
    labels: { type: 'string', default: '' },
    taints: { type: 'string', default: '' },
    'restart-backoff-ms': { type: 'string', default: '10000' },
  },
});

function must(name: keyof typeof values): string {
  const value = values[name];
  if (!value) throw new Error(`--${name} is missing`);
  return value;
}

const log = (message: string): void => console.log(`${new Date().toISOString()} ${message}`);

const parseLabels = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split(',')
      .filter(Boolean)
      .map((pair) => [pair.split('=')[0] ?? '', pair.split('=').slice(1).join('=')]),
  );

/** key=value:Effect or key:Effect */
const parseTaints = (text: string): { key: string; value?: string; effect: string }[] =>
  text
    .split(',')
    .filter(Boolean)
    .map((taint) => {
      const [left = '', effect = 'NoSchedule'] = taint.split(':');
      const [key = '', value] = left.split('=');
      return { key, effect, ...(value ? { value } : {}) };
    });

async function main(): Promise<void> {
  const nodeName = must('node-name');
  const hostIp = must('node-ip');
  const port = Number(values.port);
  const kube = new KubeClient(loadProgramConfig(must('kubeconfig')), {
    userAgent: 'lpm-local-kubelet',
    // The kubelet's own limit for what it asks of the API server while it may be cut off.
    timeoutMs: 10_000,
  });
  const cri = openCri(values['cri-socket']);
  const pods = new PodSet({
    kube,
    cri,
    events: new EventRecorder(kube, nodeName),
    backoff: new Backoff(Date.now, Number(values['restart-backoff-ms'])),
    sources: new ApiSources(kube),
    nodeName,
    hostIp,
    memoryCapacity: totalmem(),
    log,
  });
  const server = await startServer({
    port,
    certFile: must('tls-cert'),
    keyFile: must('tls-key'),
    clientCaFile: must('client-ca'),
    kube,
    nodeName,
    cri,
    findPod: (namespace, name) => pods.find(`${namespace}/${name}`),
    pods: () => pods.list(),
    log,
  });
  const stop = new AbortController();
  const nodeKept = keepNodeStatus(
    {
      kube,
      cri,
      name: nodeName,
      ip: hostIp,
      podCidr: must('pod-cidr'),
      port,
      labels: parseLabels(values.labels),
      taints: parseTaints(values.taints),
      log,
    },
    stop.signal,
  );
  const watch = new ListWatch<Pod>(kube.pods, {
    fieldSelector: `spec.nodeName=${nodeName}`,
    onChange: (_key, object, old) => {
      // Deleted and made anew while nobody looked: the object of before is gone.
      if (old && old.metadata.uid !== object?.metadata.uid) pods.remove(old);
      if (object) pods.update(object);
    },
    onError: (message) => log(`watching pods: ${message}`),
    backoff: { initialMs: 200, maxMs: 5000 },
  }).start();
  await watch.synced();
  log(
    `serving on port ${port}; ${watch.list().length} pods: ${watch.list().map(podKey).join(', ') || 'none'}`,
  );
  await pods.adoptOrphans();
  pods.followRuntime(stop.signal);
  // Pods run on when the kubelet ends: nothing is to be stopped.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log(`${signal}: ending; the pods run on`);
      stop.abort();
      server.closeAllConnections();
      process.exit(0);
    });
  }
  await nodeKept;
}

main().catch((error: unknown) => {
  log(`cannot run: ${messageOf(error)}`);
  process.exit(1);
});
