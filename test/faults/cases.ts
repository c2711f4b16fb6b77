/** The cases of the fault matrix. */
import type { FaultKind } from '../../common/fault-point.js';
import type { FaultPoint } from '../../common/fault-points.js';
import { points, scenarioOf } from './scenarios.js';

/** A program dies, hangs or fails at a place. */
export interface PointCase {
  row: string;
  column: FaultKind;
  first: readonly (readonly [FaultPoint, FaultKind])[];
  point: FaultPoint;
  pass: number;
  /** The only copy is crashed by it; it may be started from its image. */
  crash: boolean;
}

/** A link carries nothing any more from a moment on. */
export interface LinkCase {
  row: string;
  column: string;
  link: readonly [string, string];
  moment: FaultPoint;
  /**
   * Healed after a short time; or only when nothing goes on without it; or even later, when a person has decided what the
   * migration says that it cannot know.
   */
  healed: 'soon' | 'late' | 'after a decision';
}

export type Case = PointCase | LinkCase;

export const isLinkCase = (one: Case): one is LinkCase => 'link' in one;
export const nameOf = ({ row, column }: Case): string => `${row} ${column}`;

export function pointCases(): PointCase[] {
  return points.flatMap((point) => {
    const scenario = scenarioOf(point);
    if (!scenario) return [];
    const kinds: FaultKind[] = ['kill', 'hang', 'error', ...(scenario.more ?? [])];
    return (scenario.passes ?? [1]).flatMap((pass) =>
      kinds.map((column) => ({
        row: pass === 1 && !scenario.passes ? point : `${point}#${pass}`,
        column,
        first: scenario.first,
        point,
        pass,
        crash: scenario.crashes?.includes(column) ?? false,
      })),
    );
  });
}

/** Nodes of every case. */
export const SOURCE = 'k8s-worker';
export const TARGET = 'k8s-master';

const links: Record<string, readonly [string, string]> = {
  'controller – API server': ['controller', 'api-server'],
  'controller – source agent': ['controller', `agent/${SOURCE}`],
  'controller – target agent': ['controller', `agent/${TARGET}`],
  'source agent – target agent': [`agent/${SOURCE}`, `agent/${TARGET}`],
  'source node – API server': [SOURCE, 'api-server'],
  'target node – API server': [TARGET, 'api-server'],
};

const moments: Record<string, FaultPoint> = {
  'while preparing': 'controller.createTarget.before',
  'before the freeze': 'controller.checkpoint.before',
  'before the transfer': 'agent.pullArtifacts.before',
  'before the source is ended': 'controller.deleteSource.before',
};

export function linkCases(): LinkCase[] {
  return Object.entries(links).flatMap(([name, link]) =>
    Object.entries(moments).flatMap(([when, moment]) =>
      (['soon', 'late', 'after a decision'] as const).map((healed) => ({
        row: `${name} cut ${when}`,
        column: `healed ${healed}`,
        link,
        moment,
        healed,
      })),
    ),
  );
}

export const allCases = (): Case[] => [...pointCases(), ...linkCases()];
