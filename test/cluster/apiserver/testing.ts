/** An API server of one's own for a test. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { KubeClient } from '../../../common/kube/client.js';
import { loadProgramConfig } from '../../../common/kube/config.js';
import { until } from '../../support/until.js';
import { startControllers, type ControllersOptions } from '../controllers/run.js';
import { createCa, issueCertificate, type KeyPair } from '../pki.js';
import { startApiServer, type ApiServer, type ApiServerOptions } from './server.js';

export interface TestApiServerOptions extends Partial<Omit<ApiServerOptions, 'listen' | 'tls'>> {
  /** Whether to apply manifests/crd. Default true. */
  crds?: boolean;
  /** The imitated controllers that run in this process: by default those of the cluster, without those of workloads; false: none. */
  controllers?: Omit<ControllersOptions, 'log'> | false;
}

export interface TestPki {
  ca: KeyPair;
  /** The server's own. */
  server: KeyPair;
  /** An administrator's client certificate (system:masters). */
  admin: KeyPair;
  /** What the server shows to kubelets. */
  kubeletClient: KeyPair;
}

export interface TestApiServer {
  /** Path of a kubeconfig for an administrator. */
  kubeconfig: string;
  url: string;
  pki: TestPki;
  server: ApiServer;
  /** What the controllers could not do. */
  complaints: readonly string[];
  close(): Promise<void>;
}

const crdFolder = fileURLToPath(new URL('../../../manifests/crd/', import.meta.url));

/** Starts one on 127.0.0.1 port 0 with a fresh throw-away PKI, applies manifests/crd and writes a kubeconfig. */
export async function startTestApiServer(options: TestApiServerOptions = {}): Promise<TestApiServer> {
  const { crds = true, controllers = {}, ...serverOptions } = options;
  const ca = await createCa('lpm-test-ca');
  const [serverPair, admin, kubeletClient] = await Promise.all([
    issueCertificate(ca, {
      commonName: 'kube-apiserver',
      dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
      ipAddresses: ['127.0.0.1', '10.96.0.1'],
      usages: ['server'],
    }),
    issueCertificate(ca, {
      commonName: 'kubernetes-admin',
      organization: ['system:masters'],
      usages: ['client'],
    }),
    issueCertificate(ca, {
      commonName: 'kube-apiserver-kubelet-client',
      organization: ['system:masters'],
      usages: ['client'],
    }),
  ]);
  const server = await startApiServer({
    kubeletClientTls: { ...kubeletClient, ca: ca.cert },
    ...serverOptions,
    listen: [{ host: '127.0.0.1', port: 0 }],
    tls: { ...serverPair, ca: ca.cert },
  });
  const url = `https://127.0.0.1:${(server.addresses[0] as AddressInfo).port}`;
  const folder = await mkdtemp(join(tmpdir(), 'lpm-apiserver-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigText(url, ca.cert, admin), { mode: 0o600 });
  if (crds) await applyCrds(url, ca.cert, admin);
  const complaints: string[] = [];
  const endControllers = controllers && (await runControllers(kubeconfig, controllers, complaints));
  return {
    kubeconfig,
    url,
    pki: { ca, server: serverPair, admin, kubeletClient },
    server,
    complaints,
    async close() {
      if (endControllers) await endControllers();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts controllers and waits until pods are admitted to the namespace default. Returns the way to end them. */
async function runControllers(
  kubeconfig: string,
  options: Omit<ControllersOptions, 'log'>,
  complaints: string[],
): Promise<() => Promise<void>> {
  const client = new KubeClient(loadProgramConfig(kubeconfig), { userAgent: 'lpm-local-controllers' });
  const log = (message: string): void => void complaints.push(message);
  const controllers = startControllers(client, { workloads: false, ...options, log });
  await controllers.synced();
  await until('the namespace default has its account', () =>
    client.json('GET', '/api/v1/namespaces/default/serviceaccounts/default').then(() => true),
  );
  return async () => {
    await controllers.close();
    client.close();
  };
}

/** A kubeconfig with everything in it. It is JSON, which is YAML. */
export function kubeconfigText(url: string, ca: string, client: KeyPair): string {
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  const name = 'lpm-local';
  return JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: url, 'certificate-authority-data': base64(ca) } }],
      users: [
        {
          name,
          user: { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
      'current-context': name,
    },
    undefined,
    2,
  );
}

async function applyCrds(url: string, ca: string, admin: KeyPair): Promise<void> {
  const files = (await readdir(crdFolder).catch(() => [])).filter((file) => /\.ya?ml$/.test(file)).sort();
  for (const file of files) {
    for (const document of parseAllDocuments(await readFile(join(crdFolder, file), 'utf8'))) {
      const crd: unknown = document.toJS();
      if (crd === null) continue;
      const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldValidation=Strict';
      const { code, text } = await post(url + path, ca, admin, JSON.stringify(crd));
      if (code !== 201) throw new Error(`${file} is refused: ${text}`);
    }
  }
}

function post(
  url: string,
  ca: string,
  client: KeyPair,
  body: string,
): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: 'POST', ca, ...client, agent: false, headers: { 'Content-Type': 'application/json' } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () =>
          resolve({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
