/** Something that was looked for, or why it could not be looked at. */
import { messageOf } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';

export type Seen<T> = { seen: T } | { hidden: string };

export interface Right {
  verb: string;
  /** As RBAC has it: `daemonsets.apps`, `pods/portforward`. */
  resource: string;
  namespace?: string;
  name?: string;
}

/** The answer, or a sentence on why there is none: doctor says what it could not see and goes on. */
export async function look<T>(right: Right, ask: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { seen: await ask() };
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return { hidden: `You may not ${rightText(right)}.` };
    const { verb, resource } = right;
    return { hidden: `${resource} could not be looked at (${verb}): ${messageOf(error).split('\n')[0]}` };
  }
}

/** `list pods in namespace shop` */
export function rightText({ verb, resource, namespace, name }: Right): string {
  return `${verb} ${resource}${name ? ` "${name}"` : ''}${namespace ? ` in namespace ${namespace}` : ''}`;
}
