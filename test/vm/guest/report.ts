/** What the guest says over its second serial line: one JSON object a line, the plan first. */
export type Report = { plan: string[] } | ScenarioResult | { done: true };

export interface ScenarioResult {
  title: string;
  milliseconds: number;
  /** What was seen besides, e.g. how long things took. */
  notes: string[];
  /** Present when it failed: the error with its stack, and the ends of the logs. */
  failure?: string;
}

export const say = (report: Report): boolean => process.stdout.write(`${JSON.stringify(report)}\n`);

/** Undefined for a line that is none of ours. */
export function parseReport(line: string): Report | undefined {
  try {
    return JSON.parse(line) as Report;
  } catch {
    return undefined;
  }
}
