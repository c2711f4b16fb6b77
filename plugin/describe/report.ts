/** What `describe` tells of a migration beyond `status`: times of phases, the parts of the downtime, events. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { LogLine } from '../logs/lines.js';
import { statusReport } from '../status/report.js';
import { age, amountOfTime } from '../text/duration.js';
import { fitted, table } from '../text/table.js';

export interface ReportView {
  /** Milliseconds since the epoch. */
  now: number;
  /** Cells of the terminal; undefined for no terminal. */
  width: number | undefined;
  unicode: boolean;
}

/** Cells of the longest bar. */
const BAR = 40;

export function describeReport(
  migration: PodMigration,
  events: readonly LogLine[],
  view: ReportView,
): string[] {
  return [
    ...statusReport(migration, view),
    ...section('Timeline:', timeline(migration, view)),
    ...section('Downtime by step:', bars(migration, view)),
    ...section('Events:', eventRows(events, view)),
  ];
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

/** When each phase was entered, and how long it lasted. */
function timeline({ status = {} }: PodMigration, { now }: ReportView): string[] {
  const entered = status.phaseTransitions ?? [];
  const rows = entered.map(({ phase, transitionTime }, index) => {
    const from = Date.parse(transitionTime);
    const next = entered[index + 1];
    const over = phase === 'Succeeded' || phase === 'Failed';
    const lasted = over ? '' : amountOfTime((next ? Date.parse(next.transitionTime) : now) - from);
    return [`  ${transitionTime}`, phase, next || over ? lasted : `${lasted} by now`];
  });
  return rows.length === 0 ? [] : table([], rows);
}

/** A bar for each step of the downtime; steps may overlap, so the bars may add up to more than the whole. */
function bars({ status = {} }: PodMigration, { unicode, width }: ReportView): string[] {
  const steps = status.steps ?? [];
  const whole = Math.max(
    status.downtimeMilliseconds ?? 0,
    ...steps.map(({ milliseconds }) => milliseconds),
    1,
  );
  const longest = Math.max(10, Math.min(BAR, (width ?? 100) - 30));
  const [full, half] = unicode ? ['█', '▌'] : ['#', '#'];
  const rows = steps.map(({ name, milliseconds }) => {
    const halves = Math.max(1, Math.round((milliseconds / whole) * longest * 2));
    const bar = full.repeat(Math.floor(halves / 2)) + (halves % 2 === 1 ? half : '');
    const share = `${Math.round((milliseconds / whole) * 100)}%`;
    return [`  ${name}`, amountOfTime(milliseconds).padStart(9), share.padStart(4), bar];
  });
  return rows.length === 0 ? [] : table([], rows);
}

function eventRows(events: readonly LogLine[], { now, width }: ReportView): string[] {
  if (events.length === 0) return [];
  const sorted = [...events].sort((a, b) => a.at - b.at);
  const rows = sorted.map(({ at, from, text }) => [
    `  ${Number.isNaN(at) ? '?' : `${age(now - at)} ago`}`,
    from,
    text,
  ]);
  return table([], fitted(rows, width));
}
