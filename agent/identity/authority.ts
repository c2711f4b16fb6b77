/** Whom to believe and who signs, as the controller publishes it in a ConfigMap: the one object that an agent reads. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import {
  AUTHORITY_CERTIFICATES,
  AUTHORITY_CONFIG_MAP,
  AUTHORITY_SIGNERS,
  SIGNER_PORT,
  SIGNER_SERVICE,
} from '../../common/api/names.js';
import { LpmError, messageOf } from '../../common/errors.js';

export interface Authority {
  /** Certificates of the authorities, PEM. */
  ca: string;
  /** "address:port" of those who sign, in the order in which they are asked. */
  signers: string[];
}

/** Milliseconds. */
const PATIENCE_MS = 10_000;
/** A ConfigMap has at most a mebibyte. */
const MAX_BODY_BYTES = 2 << 20;

/** Where a pod finds the API server: its address, and the folder of its ServiceAccount. */
export interface ApiServer {
  host: string;
  port: number;
  account: string;
}

/** @throws NoCertificate with what is not there yet, or cannot be reached */
export async function publishedAuthority(api: ApiServer): Promise<Authority> {
  const namespace = accountFile(api, 'namespace').trim();
  const what = `ConfigMap ${namespace}/${AUTHORITY_CONFIG_MAP}`;
  const { code, body } = await get(
    api,
    `/api/v1/namespaces/${namespace}/configmaps/${AUTHORITY_CONFIG_MAP}`,
    what,
  );
  if (code === 404) throw missing(`The controller has not published its authority yet (${what}).`);
  if (code !== 200) throw missing(`The ${what} cannot be read: the API server answers ${code}.`);
  const { data = {} } = JSON.parse(body) as { data?: Record<string, string> };
  const ca = data[AUTHORITY_CERTIFICATES];
  if (!ca) throw missing(`The ${what} has no ${AUTHORITY_CERTIFICATES} yet.`);
  return { ca, signers: inOrder(data[AUTHORITY_SIGNERS] ?? '', namespace) };
}

/** The replicas themselves, not all agents the same one first, and then the Service: where names and Services work, that is never old. */
export function inOrder(signers: string, namespace: string, random: () => number = Math.random): string[] {
  const replicas = signers.split('\n').filter((line) => /^[^\s/]+:\d+$/.test(line));
  const from = Math.floor(random() * replicas.length);
  return [
    ...replicas.slice(from),
    ...replicas.slice(0, from),
    `${SIGNER_SERVICE}.${namespace}.svc:${SIGNER_PORT}`,
  ];
}

function get(
  api: ApiServer,
  path: string,
  what: string,
): Promise<{ code: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(missing(`The ${what} cannot be read: ${messageOf(error)}.`, error));
    const asked = request(
      {
        ...{ host: api.host, port: api.port, path },
        ca: accountFile(api, 'ca.crt'),
        // Read for each request: the kubelet renews it.
        headers: { authorization: `Bearer ${accountFile(api, 'token').trim()}`, accept: 'application/json' },
        signal: AbortSignal.timeout(PATIENCE_MS),
        agent: false,
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (text: string) => {
          body += text;
          if (body.length > MAX_BODY_BYTES) answer.destroy(new Error('the answer is too long'));
        });
        answer.on('end', () => resolve({ code: answer.statusCode, body }));
        answer.on('error', fail);
      },
    );
    asked.on('error', fail);
    asked.end();
  });
}

function accountFile({ account }: ApiServer, name: string): string {
  try {
    return readFileSync(join(account, name), 'utf8');
  } catch (error) {
    throw missing(`The agent has no ServiceAccount: ${messageOf(error)}.`, error);
  }
}

const missing = (message: string, cause?: unknown): LpmError =>
  new LpmError('NoCertificate', message, {
    hint: 'Look at the controller: kubectl logs -n live-pod-migration-controller-system -l control-plane=controller-manager',
    cause,
  });
