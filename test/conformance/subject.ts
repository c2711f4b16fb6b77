/**
 * The cluster under test and what a test file owns in it: one namespace, and copies of our CRDs in an API group of its own, so that
 * no controller acts on what is written and nothing of a project that is installed there is touched. Without LPM_CONFORMANCE (the
 * path of a kubeconfig, as `npm run test:conformance -- --kubeconfig F` sets it) the subject is an in-memory API server without nodes.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { GROUP } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import { KubeClient, ResourceClient } from '../../common/kube/client.js';
import { loadKubeConfig } from '../../common/kube/config.js';
import type { KubeObject, Node } from '../../common/kube/types.js';
import { startTestApiServer } from '../cluster/apiserver/testing.js';
import { repository } from '../cluster/paths.js';
import { must, run, type RunResult } from '../cluster/run.js';
import { until } from '../support/until.js';

/** A ConfigMap, a Secret or the like: kinds that the project's client has no types for. */
export interface Plain extends KubeObject {
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  data?: Record<string, string>;
  [field: string]: unknown;
}

export interface Subject {
  namespace: string;
  /** API group of the copies of our CRDs. */
  group: string;
  /** Our own client, under the rights of the kubeconfig. */
  kube: KubeClient;
  migrations: ResourceClient<PodMigration>;
  configMaps: ResourceClient<Plain>;
  /** Nodes on which pods can run. */
  readyNodes: Node[];
  env: NodeJS.ProcessEnv;
  /** Runs kubectl in the namespace; arguments are parted by blanks where one string is given. */
  kubectl(args: string | string[], stdin?: unknown): Promise<RunResult>;
  /** Like kubectl, but failing is an error. Answers stdout. */
  must(args: string | string[], stdin?: unknown): Promise<string>;
  /** Runs kubectl to an exit code other than 0 and answers its stderr without warnings. */
  refused(args: string | string[], stdin?: unknown): Promise<string>;
  /** A migration in the group of the copies. */
  migration(name: string, spec?: Record<string, unknown>, more?: Record<string, unknown>): Plain;
  /** Has a kind of the project's group in the group of the copies, as `podmigrations.GROUP`. */
  kind(plural: string): string;
  end(): Promise<void>;
}

const KUBECONFIG = process.env.LPM_CONFORMANCE || undefined;

export async function startSubject(): Promise<Subject> {
  const undo: (() => Promise<unknown>)[] = [];
  const end = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const dir = mkdtempSync(join(tmpdir(), 'lpm-conformance-'));
    undo.push(async () => rmSync(dir, { recursive: true, force: true }));
    const server = KUBECONFIG ? undefined : await startTestApiServer({ crds: false });
    if (server) undo.push(() => server.close());
    const kubeconfig = KUBECONFIG ?? server!.kubeconfig;
    const suffix = randomBytes(3).toString('hex');
    const namespace = `lpm-conformance-${suffix}`;
    const group = `c${suffix}.${GROUP}`;
    const kube = new KubeClient(loadKubeConfig({ kubeconfig }), { userAgent: 'lpm-conformance' });
    undo.push(async () => kube.close());
    const env = { ...process.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(dir, 'cache') };
    const words = (args: string | string[]): string[] => [
      `--namespace=${namespace}`,
      ...(typeof args === 'string' ? args.split(' ') : args),
    ];
    const options = (stdin: unknown) => ({
      env,
      ...(stdin === undefined ? {} : { stdin: typeof stdin === 'string' ? stdin : JSON.stringify(stdin) }),
    });

    await makeNamespace(kube, namespace);
    undo.push(() => removeNamespace(kube, namespace));
    await copyCrds(kube, group, undo);

    const subject: Subject = {
      namespace,
      group,
      kube,
      env,
      end,
      migrations: new ResourceClient<PodMigration>(kube, {
        group,
        version: 'v1',
        plural: 'podmigrations',
        kind: 'PodMigration',
      }),
      configMaps: new ResourceClient<Plain>(kube, {
        group: '',
        version: 'v1',
        plural: 'configmaps',
        kind: 'ConfigMap',
      }),
      readyNodes: (await kube.nodes.list()).items.filter(
        ({ spec, status }) =>
          !spec?.unschedulable &&
          !spec?.taints?.length &&
          status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'),
      ),
      kubectl: (args, stdin) => run('kubectl', words(args), options(stdin)),
      must: (args, stdin) => must('kubectl', words(args), options(stdin)),
      async refused(args, stdin) {
        const { code, stdout, stderr } = await run('kubectl', words(args), options(stdin));
        if (code === 0) throw new Error(`kubectl ${words(args).join(' ')} was not refused: ${stdout}`);
        return stderr.replace(/^Warning: .*\n/gm, '');
      },
      migration: (name, spec = { podName: 'counter' }, more = {}) => ({
        apiVersion: `${group}/v1`,
        kind: 'PodMigration',
        metadata: { name },
        spec,
        ...more,
      }),
      kind: (plural) => `${plural}.${group}`,
    };
    return subject;
  } catch (error) {
    await end();
    throw error;
  }
}

/** With its default ServiceAccount, without which no pod is admitted. */
async function makeNamespace(kube: KubeClient, name: string): Promise<void> {
  await kube.namespaces.create({ metadata: { name } });
  await until(`${name} has a ServiceAccount`, () =>
    kube.json('GET', `/api/v1/namespaces/${name}/serviceaccounts/default`),
  );
}

async function removeNamespace(kube: KubeClient, name: string): Promise<void> {
  await kube.namespaces.delete(name);
  await until(`namespace ${name} is gone`, async () => !(await kube.namespaces.find(name)), {
    timeoutMs: 90_000,
    everyMs: 200,
  });
}

const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

async function copyCrds(kube: KubeClient, group: string, undo: (() => Promise<unknown>)[]): Promise<void> {
  const folder = join(repository, 'manifests/crd');
  for (const file of readdirSync(folder).sort()) {
    const crd = parse(readFileSync(join(folder, file), 'utf8')) as Plain & { spec: { group: string } };
    const plural = crd.metadata.name.split('.')[0]!;
    const name = `${plural}.${group}`;
    const copy = { ...crd, metadata: { name }, spec: { ...crd.spec, group } };
    await kube.json('POST', crdPath, { body: copy, query: { fieldValidation: 'Strict' } });
    undo.push(() => kube.json('DELETE', `${crdPath}/${name}`));
    await until(`${name} is served`, () => isServed(kube, group, plural));
  }
}

async function isServed(kube: KubeClient, group: string, plural: string): Promise<boolean> {
  const { resources } = await kube.json<{ resources: { name: string }[] }>('GET', `/apis/${group}/v1`);
  if (!resources.some(({ name }) => name === plural)) return false;
  await kube.json('GET', `/apis/${group}/v1/${plural}`);
  return true;
}

/** What the API server answers to a request that it does not fulfil. */
export async function refusal(request: Promise<unknown>): Promise<ApiError> {
  try {
    await request;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('The request was not refused.');
}

/** A pod that no scheduler places: it stands still on any cluster. */
export function gatedPod(name: string, spec: Record<string, unknown> = {}): Plain {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      schedulingGates: [{ name: 'lpm.my.domain/conformance' }],
      containers: [{ name: 'main', image: 'docker.io/library/busybox:1.35' }],
      ...spec,
    },
  };
}
