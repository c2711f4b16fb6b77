import { request as httpsRequest } from 'node:https';
import { createSecureContext } from 'node:tls';
import { messageOf } from '../../common/errors.js';
import type { Context } from '../context.js';
import { readCredentials, type Credential } from './credentials.js';
import type { Answer, Question } from './outcome.js';
import { kubeletTrust } from './trust.js';

/** An answer is a path and a few words; the runtime's errors may be long. */
const MAX_BODY_BYTES = 256 * 1024;

/** How long the kubelet may take to accept a connection. */
const CONNECT_MS = 10_000;

/**
 * Asks the kubelet once, with the first credential that it knows. 401 leads to the next one; 403 does not: a user who is known
 * and may not is an answer, and no reason to come back as somebody else.
 *
 * @returns every answer, the last one last
 * @throws KubeletUntrusted
 */
export async function askKubelet(
  { host, kubelet: options, nodeName, log }: Context,
  question: Question,
): Promise<{ answers: Answer[]; problems: string[] }> {
  const trust = kubeletTrust(host, options, nodeName);
  const { usable, problems } = readCredentials(host, options);
  const answers: Answer[] = [];
  for (const credential of usable) {
    if (options.insecureSkipVerify) {
      log.warn('the kubelet’s serving certificate is not verified (--kubelet-insecure-skip-verify)', {
        address: `${options.host}:${options.port}`,
        credential: credential.what,
      });
    }
    const answer = await post(credential);
    answers.push(answer);
    if (!isUnknown(answer)) break;
    log.info('the credential is of no use with the kubelet', {
      credential: credential.what,
      status: answer.status,
    });
  }
  return { answers, problems };

  function post(credential: Credential): Promise<Answer> {
    return new Promise((resolve) => {
      let body = '';
      let sent = false;
      const end = (answer: Partial<Answer>): void =>
        resolve({ credential: credential.what, status: 0, body: '', code: '', sent, ...answer });
      const broken = (error: Error & { code?: string | number }): void =>
        end({ code: String(error.code ?? error.name), body: error.message });
      if ('cert' in credential) {
        try {
          createSecureContext({ cert: credential.cert, key: credential.key });
        } catch (error) {
          return end({ code: 'BAD_CREDENTIAL', body: messageOf(error) });
        }
      }
      const request = httpsRequest({
        host: options.host,
        port: options.port,
        method: 'POST',
        path: question.path,
        headers: {
          accept: 'application/json, text/plain',
          'content-length': 0,
          ...('token' in credential ? { authorization: `Bearer ${credential.token}` } : {}),
        },
        ...trust,
        // Not TLS 1.3 alone, as among our own programs: a cluster may say --tls-max-version or a policy for its kubelets.
        minVersion: 'TLSv1.2',
        ...('cert' in credential ? { cert: credential.cert, key: credential.key } : {}),
        agent: false,
        signal: AbortSignal.timeout(question.patienceMs),
      });
      const late = setTimeout(() => {
        request.destroy(Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' }));
      }, CONNECT_MS);
      request.on('socket', (socket) => {
        socket.once('secureConnect', () => {
          clearTimeout(late);
          sent = true;
        });
      });
      request.on('response', (response) => {
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          if (body.length < MAX_BODY_BYTES) body += chunk;
        });
        response.on('error', broken);
        response.on('end', () => end({ status: response.statusCode ?? 0, body: body.trim() }));
      });
      request.on('error', broken);
      request.on('close', () => {
        clearTimeout(late);
        end({ code: 'ECONNRESET', body: 'the connection was closed without an answer' });
      });
      request.end();
    });
  }
}

/** The credential says nothing to the kubelet: it is no answer about who it stands for. */
const isUnknown = ({ status, body, code }: Answer): boolean =>
  status === 401 || code === 'BAD_CREDENTIAL' || (status === 403 && /user=system:anonymous\b/.test(body));
