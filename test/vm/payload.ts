/** What one run brings into the guest: the programs under test, the configuration of the node, certificates, images. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../../build.mjs';
import { controllerCertificate, writeAgentTls } from '../agent/certificates.js';
import { memoryImage, pauseImage, testImages } from '../cluster/images/images.js';
import { serviceScript } from '../cluster/node/config.js';
import { installRuntimeHandler, installScripts } from '../cluster/node/programs.js';
import { writeConfiguration } from '../cluster/node/start.js';
import { nodeRoot } from '../cluster/node-root.js';
import { createCa } from '../cluster/pki.js';
import { must } from '../cluster/run.js';
import { criSocket, guestFiles, guestNode } from './guest/places.js';

/** Answers the archive, made in `dir`. `wanted` narrows the choice of scenarios, see guest/main.ts. */
export async function writePayload(dir: string, wanted: readonly string[]): Promise<string> {
  const upper = join(dir, 'payload');
  const inside = (path: string): string => {
    const file = join(upper, path);
    mkdirSync(join(file, '..'), { recursive: true });
    return file;
  };
  writeConfiguration(
    upper,
    {
      name: guestNode,
      podCidr: '10.244.98.0/24',
      hosts: { [guestNode]: '127.0.0.1' },
      // In the guest root has every capability.
      restrictOomScore: false,
      handler: true,
    },
    { agent: ['sh', '-c', agentService] },
  );
  installScripts(upper);
  await installRuntimeHandler(upper);
  await bundle('agent/main.ts', inside(guestFiles.agent));
  await bundle('test/vm/guest/main.ts', inside(guestFiles.scenarios));
  writeScript(inside('/etc/lpm-node/services/scenarios'), scenariosService(wanted));
  writeScript(
    inside('/usr/local/lib/lpm-guest/boot.sh'),
    readFileSync(new URL('guest/boot.sh', import.meta.url), 'utf8'),
  );

  const ca = await createCa('lpm-vm');
  await writeAgentTls(inside('/etc/lpm/tls'), guestNode, '127.0.0.1', ca);
  writeFileSync(
    inside(guestFiles.controllerTls),
    JSON.stringify({ ...(await controllerCertificate(ca)), ca: ca.cert }),
  );

  const needed = [memoryImage, pauseImage];
  for (const { reference, archive } of await testImages(await nodeRoot(() => {}))) {
    if (needed.includes(reference))
      copyFileSync(archive, inside(`${guestFiles.images}/${encodeURIComponent(reference)}`));
  }
  const archive = join(dir, 'payload.tar');
  await must('tar', ['-cf', archive, '--owner=0', '--group=0', '-C', upper, '.']);
  return archive;
}

/** It would only find no runtime before containerd serves, and its start takes seconds. */
const agentService =
  `until [ -S ${criSocket} ]; do sleep 0.1; done; ` +
  `exec node ${guestFiles.agent} --node-name ${guestNode} --log-level debug`;

/** Whatever becomes of the scenarios, the guest ends with them. */
function scenariosService(wanted: readonly string[]): string {
  const run = serviceScript(['node', guestFiles.scenarios, ...wanted])
    .replace('exec ', '')
    .trimEnd();
  return `${run} >/dev/ttyS1 2>/dev/ttyS0\nbusybox poweroff -f\n`;
}

function writeScript(file: string, content: string): void {
  writeFileSync(file, content);
  chmodSync(file, 0o755);
}
