/** What the person who asks may do. */
import { GROUP, SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import { Check, type Finding } from '../finding.js';
import type { Right } from '../look.js';
import type { Observed, RightAnswer } from '../observed.js';

interface Need extends Omit<Right, 'namespace'> {
  /** Where; the namespace that was asked about unless said. */
  in?: 'system' | 'cluster';
  /** Without it something works in a lesser way: what. */
  only?: string;
}

const MIGRATIONS = `podmigrations.${GROUP}`;
const CHECKPOINTS = `podcheckpoints.${GROUP}`;

/** By check. */
const NEEDS: Record<string, { what: string; needs: Need[] }> = {
  'rights-migrate': {
    what: 'moving a pod needs',
    needs: [
      ...['create', 'get', 'list', 'watch'].map((verb) => ({ verb, resource: MIGRATIONS })),
      { verb: 'get', resource: 'pods' },
      { verb: 'patch', resource: MIGRATIONS, only: 'cancel and resolve' },
      { verb: 'delete', resource: MIGRATIONS, only: 'delete' },
      { verb: 'list', resource: 'nodes', in: 'cluster', only: 'names of nodes and drain' },
    ],
  },
  'rights-checkpoint': {
    what: 'checkpoints need',
    needs: [
      ...['create', 'get', 'list', 'watch'].map((verb) => ({ verb, resource: CHECKPOINTS })),
      { verb: 'delete', resource: CHECKPOINTS, only: 'checkpoint delete' },
      {
        verb: 'create',
        resource: 'pods/portforward',
        in: 'system',
        only: 'checkpoint describe, export and import',
      },
    ],
  },
};

/** All that is asked of the API server (SelfSubjectAccessReview). */
export function neededRights(namespace: string): Right[] {
  return Object.values(NEEDS).flatMap(({ needs }) =>
    needs.map((need) => {
      const where = placeOf(need, namespace);
      return {
        verb: need.verb,
        resource: need.resource,
        ...(where === undefined ? {} : { namespace: where }),
      };
    }),
  );
}

function placeOf({ in: where }: Need, namespace: string): string | undefined {
  return where === 'cluster' ? undefined : where === 'system' ? SYSTEM_NAMESPACE : namespace;
}

export function rights({ user }: Observed): Finding[] {
  return Object.entries(NEEDS).map(([name, { what, needs }]) => {
    const check = new Check(name);
    const { answers } = user;
    if ('hidden' in answers) return check.unknown(answers.hidden);
    const refused = needs.filter((need) => isRefused(answers.seen, need, user.namespace));
    const missing = refused.filter(({ only }) => only === undefined);
    if (missing.length > 0) {
      return check.fail(
        `You may not ${joined(missing)} in namespace ${user.namespace}, which ${what}.`,
        ...grant(user),
      );
    }
    if (refused.length > 0) {
      const told = refused.map(
        (need) => `${need.verb} ${need.resource}${whereText(need, user.namespace)} (for ${need.only})`,
      );
      return check.warn(`You may not ${told.join('; ')}.`, ...grant(user));
    }
    return check.ok(`in namespace ${user.namespace}`);
  });
}

function isRefused(answers: readonly RightAnswer[], need: Need, namespace: string): boolean {
  const where = placeOf(need, namespace);
  return answers.some(
    (answer) =>
      answer.verb === need.verb &&
      answer.resource === need.resource &&
      answer.namespace === where &&
      !answer.allowed,
  );
}

/** `create, watch podmigrations.lpm.my.domain and get pods` */
function joined(needs: readonly Need[]): string {
  const byResource = new Map<string, string[]>();
  for (const { verb, resource } of needs)
    byResource.set(resource, [...(byResource.get(resource) ?? []), verb]);
  return [...byResource].map(([resource, verbs]) => `${verbs.join(', ')} ${resource}`).join(' and ');
}

const whereText = (need: Need, namespace: string): string => {
  const where = placeOf(need, namespace);
  return where === undefined ? '' : ` in namespace ${where}`;
};

/** What an administrator would type. Kubernetes' role edit has our kinds (manifests/access). */
function grant({ name, namespace }: Observed['user']): string[] {
  const [, account] = /^system:serviceaccount:(.+)$/.exec(name ?? '') ?? [];
  const subject = account ? `--serviceaccount=${account}` : `--user=${name ?? 'NAME'}`;
  return [
    `kubectl create rolebinding lpm-edit -n ${namespace} --clusterrole=edit ${subject} # as an administrator`,
    `kubectl auth can-i --list -n ${namespace} # what you may do`,
  ];
}
