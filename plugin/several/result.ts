/** How it ended for one pod. */
export interface Result {
  namespace: string;
  pod: string;
  outcome: 'Moved' | 'Evicted' | 'Left' | 'Failed' | 'Unfinished' | 'Movable';
  /** The node on which it runs now. */
  node?: string;
  downtimeMs?: number;
  /** A sentence. */
  why: string;
  /** It is still where it was. */
  blocks: boolean;
}
