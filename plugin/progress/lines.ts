/** The lines that a view is drawn as. Pure, so that they can be tested at any width. */
import { stopwatch } from '../text/duration.js';
import type { Row, View } from './view.js';

const LABEL = 12;
const ELAPSED = 6;
/** Wider lines are harder to read across, so that a wide terminal gets no longer ones. */
const WIDEST = 110;

/** One row in at most `width` cells: label, what is going on, elapsed time at the right edge. */
export function rowLine(row: Row, width: number): string {
  const room = Math.min(width, WIDEST) - LABEL - ELAPSED;
  const time = row.elapsedMs === undefined ? '' : stopwatch(row.elapsedMs);
  const detail = cut(row.detail, Math.max(8, room - 1)).padEnd(Math.max(8, room));
  return `${row.label.padEnd(LABEL)}${detail}${time.padStart(ELAPSED)}`.trimEnd();
}

/** What stands below the active row: how long the pod is frozen by now, what it is stuck with, warnings, notes. */
export function belowLines(view: View, notes: readonly string[]): string[] {
  const lines = [
    ...view.stuck,
    ...view.warnings.map((text) => `warning: ${text}`),
    ...notes.map((text) => `note: ${text}`),
  ];
  if (view.frozenMs !== undefined) lines.unshift(`the pod is frozen for ${stopwatch(view.frozenMs)}`);
  return lines;
}

/** A text in at most `width` cells. */
export function cut(text: string, width: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1)).trimEnd()}…`;
}
