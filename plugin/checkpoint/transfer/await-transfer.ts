import { createHash, randomBytes } from 'node:crypto';
import type { KubeClient } from '../../../common/kube/client.js';
import { CliError } from '../../cli-error.js';
import { follow } from '../../follow.js';
import { sentence } from '../../progress/summary.js';
import { printable } from '../../text/printable.js';
import { resourceOf, type Checkpoint } from '../kinds.js';
import { AgentPort } from './agent-port.js';

/** Known to nobody but this process; the cluster is told its hash. */
export function newTicket(): { ticket: string; sha256: string } {
  const ticket = randomBytes(32).toString('hex');
  return { ticket, sha256: createHash('sha256').update(ticket).digest('hex') };
}

const OPEN_WITHIN_MS = 60_000;
/** How an earlier transfer ended says nothing of this one. */
const EARLIER = ['Complete', 'Expired', 'Withdrawn'];

/** Waits until an agent serves this ticket. Throws CliError with what keeps it from it. */
export async function awaitTransfer(
  client: KubeClient,
  { kind, metadata }: Checkpoint,
  { ticket, sha256 }: ReturnType<typeof newTicket>,
  signal: AbortSignal,
): Promise<AgentPort> {
  const { name, namespace = 'default', uid = '' } = metadata;
  const late = AbortSignal.timeout(OPEN_WITHIN_MS);
  let why = 'nobody has opened it within a minute';
  for await (const sighting of follow(
    resourceOf(client, kind),
    name,
    namespace,
    AbortSignal.any([signal, late]),
  )) {
    if (sighting.type === 'gone') throw new CliError(`The checkpoint ${name} was deleted meanwhile.`);
    if (sighting.type !== 'state') continue;
    const { transfer, phase, message, conditions = [] } = sighting.object.status ?? {};
    if (transfer?.ticketSHA256 === sha256) {
      const place = { namespace: transfer.agentNamespace, pod: transfer.agentPod, port: transfer.port };
      return new AgentPort(client, place, uid, ticket, signal);
    }
    const refused = conditions.find(
      ({ type, status, reason }) =>
        type === 'TransferOpen' && status === 'False' && !EARLIER.includes(reason),
    );
    if (phase === 'Failed') throw new CliError(printable(sentence(message ?? 'The controller refuses it.')));
    if (refused) throw new CliError(`No agent can serve it: ${printable(sentence(refused.message))}`);
    if (message) why = `it is still ${phase ?? 'new'}: ${message}`;
  }
  if (signal.aborted) throw new CliError('Interrupted.');
  throw new CliError(`The transfer does not begin: ${printable(sentence(why))}`, [
    'Is the controller running? kubectl get pods -n live-pod-migration-controller-system',
  ]);
}
