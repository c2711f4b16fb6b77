import { join } from 'node:path';
import type { Host } from '../host.js';
import { listEither, readEither } from './files.js';
import type { KubeletOptions, PairFiles } from './options.js';

/** What we show to the kubelet. `what` names it in sentences. */
export type Credential = { what: string; token: string } | { what: string; cert: string; key: string };

export interface Credentials {
  /** In the order in which they are to be tried. */
  usable: Credential[];
  /** Why others are not among them, each a clause. */
  problems: string[];
}

/** Reads them anew: tokens live for an hour, certificates are rotated. */
export function readCredentials(host: Host, options: KubeletOptions): Credentials {
  const usable: Credential[] = [];
  const problems: string[] = [];
  const ways = {
    token: () => {
      const read = readEither(host, options.tokenFile);
      if ('problem' in read) problems.push(read.problem);
      else if (read.text.trim() === '') problems.push(`${options.tokenFile} is empty`);
      else usable.push({ what: `the token in ${options.tokenFile}`, token: read.text.trim() });
    },
    certificate: () => {
      for (const place of options.clientCertificates) {
        const pairs = typeof place === 'string' ? pairsIn(host, place) : [place];
        if (pairs.length === 0) problems.push(`there is no certificate with its key in ${String(place)}`);
        for (const pair of pairs) readPair(host, pair, usable, problems);
      }
    },
  };
  for (const way of options.auth) ways[way]();
  return { usable, problems };
}

function readPair(host: Host, pair: PairFiles, usable: Credential[], problems: string[]): void {
  const cert = readEither(host, pair.cert);
  if ('problem' in cert) return void problems.push(cert.problem);
  const key = pair.key === pair.cert ? cert : readEither(host, pair.key);
  if ('problem' in key) return void problems.push(key.problem);
  usable.push({ what: `the client certificate ${pair.cert}`, cert: cert.text, key: key.text });
}

/** NAME.crt with NAME.key, and NAME.pem with both in it. */
function pairsIn(host: Host, folder: string): PairFiles[] {
  const names = listEither(host, folder);
  return names.flatMap((name) => {
    const key = name.replace(/\.crt$/, '.key');
    if (name.endsWith('.crt') && names.includes(key)) {
      return [{ cert: join(folder, name), key: join(folder, key) }];
    }
    if (!name.endsWith('.pem')) return [];
    const read = readEither(host, join(folder, name));
    const holdsBoth = 'text' in read && /BEGIN CERTIFICATE/.test(read.text) && /PRIVATE KEY/.test(read.text);
    return holdsBoth ? [{ cert: join(folder, name), key: join(folder, name) }] : [];
  });
}
