/** Exports, as the annotation on a finished checkpoint asks for them and as its status tells of them. Pure. */
import { EXPORT_TICKET_ANNOTATION } from '../../common/api/names.js';
import type { Checkpoint } from './kinds.js';

/** How long somebody who has a ticket may take. */
export const EXPORT_MS = 60 * 60_000;

export interface ExportObserved {
  now: number;
  checkpoint: Checkpoint;
  /** What the agent says of the transfer that the status tells of; undefined when there is none, or it was not asked. */
  state?: 'open' | 'complete' | 'unknown';
}

export type ExportDecision =
  | { do: 'nothing' }
  /** Open it for this ticket, until then. */
  | { do: 'open'; ticket: string; expires: number }
  /** Ask the agent how far it is. */
  | { do: 'look' }
  | { do: 'watch'; afterMs: number }
  | { do: 'close'; why: 'Complete' | 'Expired' | 'Withdrawn' | 'TicketInvalid' };

const LOOK_MS = 1000;

export function decideExport({ now, checkpoint, state }: ExportObserved): ExportDecision {
  const ticket = checkpoint.metadata.annotations?.[EXPORT_TICKET_ANNOTATION];
  const { transfer } = checkpoint.status ?? {};
  if (ticket === undefined) return transfer ? { do: 'close', why: 'Withdrawn' } : { do: 'nothing' };
  if (!/^[0-9a-f]{64}$/.test(ticket)) return { do: 'close', why: 'TicketInvalid' };
  if (transfer?.ticketSHA256 !== ticket) return { do: 'open', ticket, expires: now + EXPORT_MS };
  const expires = Date.parse(transfer.expires);
  if (now >= expires) return { do: 'close', why: 'Expired' };
  switch (state) {
    case undefined:
      return { do: 'look' };
    case 'complete':
      return { do: 'close', why: 'Complete' };
    case 'unknown':
      // The agent was restarted: what is not over is opened again, for as long as it had left.
      return { do: 'open', ticket, expires };
    case 'open':
      return { do: 'watch', afterMs: Math.max(10, Math.min(LOOK_MS, expires - now)) };
    default:
      return state satisfies never;
  }
}
