/** In which course of a migration each fault point is met. */
import type { FaultKind } from '../../common/fault-point.js';
import { FAULT_POINTS, type FaultPoint } from '../../common/fault-points.js';

export interface Scenario {
  /** Faults that bring the migration onto this course; they are armed before the one that is looked at. */
  first: readonly (readonly [FaultPoint, FaultKind])[];
  /** Passes at which the fault is tried each for itself. */
  passes?: readonly number[];
  /** Kinds beside kill, hang and error. */
  more?: readonly FaultKind[];
  /**
   * Kinds that take the only copy away from below when it executes already: its own runtime dies under it. The kubelet starts
   * the container anew from its image, as after any crash; nothing can be done about that (agent/PROTOCOL.md).
   */
  crashes?: readonly FaultKind[];
}

const success: Scenario = { first: [] };
/** The checkpoint is complete, but its call fails: everything is taken back. */
const rollback: Scenario = { first: [['controller.checkpoint.after', 'error']] };

/** The first agent dies in the middle of a checkpoint; the next one finds what it left. */
const recovery: Scenario = { first: [['agent.checkpoint.dumped', 'kill']] };

/** Undefined for places that no migration of one container comes to. */
export function scenarioOf(point: FaultPoint): Scenario | undefined {
  if (/^agent\.commit\./.test(point)) return undefined;
  if (/^(controller|agent)\.(revoke|thaw|deleteTarget)\./.test(point)) return rollback;
  if (/^agent\.recover\./.test(point)) return recovery;
  if (point === 'agent.checkpoint.dumping') return { ...success, more: ['kill-criu', 'kill-runtime'] };
  if (/^handler\.(post-restore|frozen)$/.test(point)) {
    return { ...success, more: ['kill-criu', 'kill-runtime'] };
  }
  // CRIU lets go what it holds by ptrace when it dies (as it does with its runtime), and that runs for some milliseconds.
  if (point === 'handler.pre-resume') {
    return { ...success, more: ['kill-criu', 'kill-runtime'], crashes: ['kill-criu', 'kill-runtime'] };
  }
  // The first files are the description; a middle one is being sent.
  if (/^agent\.(pullArtifacts\.sending|restore\.receiving)$/.test(point)) return { ...success, passes: [8] };
  if (/^controller\.status\./.test(point)) return { ...success, passes: [1, 2, 3, 4, 5, 6, 7, 8] };
  if (point === 'controller.barrier.after') return { ...success, passes: [1, 2, 3] };
  return success;
}

/** A migration passes by all of them but those of archives, which test/agent/archives.test.ts plays. */
export const points = (Object.keys(FAULT_POINTS) as FaultPoint[]).filter(
  (point) => !point.startsWith('agent.archive.'),
);
