/**
 * Names that are chosen at random or made of a hash become roles, so that two runs can be compared: pods p1, p2, … in
 * the order of their creation, ReplicaSets rs1, …, ControllerRevisions rev1, …, EndpointSlices slice1, ….
 */
import type { Change } from './observer.js';

const prefixes: Record<string, string> = {
  Pod: 'p',
  ReplicaSet: 'rs',
  ControllerRevision: 'rev',
  EndpointSlice: 'slice',
};

const hashLabels = ['pod-template-hash', 'controller-revision-hash', 'controller.kubernetes.io/hash'];

export class Roles {
  readonly #roles = new Map<string, string>();
  /** Texts to replace within other texts: names, uids, hashes, addresses. */
  readonly #texts = new Map<string, string>();

  constructor(changes: Change[]) {
    const counts: Record<string, number> = {};
    for (const { type, kind, object } of changes) {
      const { name, namespace, uid, labels = {} } = object.metadata;
      if (namespace) this.#texts.set(namespace, 'namespace');
      // What a scenario makes itself has a name of its own, and so have the pods of a StatefulSet.
      const isOwned = object.metadata.ownerReferences?.some((one) => one.controller) ?? false;
      const prefix =
        isOwned && labels['apps.kubernetes.io/pod-index'] === undefined ? prefixes[kind] : undefined;
      if (type === 'ADDED' && prefix && !this.#roles.has(`${kind}/${name}`)) {
        const role = `${prefix}${(counts[prefix] = (counts[prefix] ?? 0) + 1)}`;
        this.#roles.set(`${kind}/${name}`, role);
        this.#texts.set(name, role);
        for (const hash of hashLabels.map((label) => labels[label])) {
          const owner = kind === 'ReplicaSet' || kind === 'ControllerRevision' ? role : undefined;
          if (hash && owner && !this.#texts.has(hash)) this.#texts.set(hash, `hash(${owner})`);
        }
      }
      if (uid && !this.#texts.has(uid))
        this.#texts.set(uid, `uid(${this.#roles.get(`${kind}/${name}`) ?? name})`);
      if (kind === 'Pod') {
        const { podIP } = (object as { status?: { podIP?: string } }).status ?? {};
        if (podIP) this.#texts.set(podIP, `ip(${this.#roles.get(`Pod/${name}`) ?? name})`);
      }
    }
  }

  of(kind: string, name: string): string {
    return this.#roles.get(`${kind}/${name}`) ?? name;
  }

  /** The text with every random name in it replaced by its role. Whole words only, longest first. */
  in(text: string): string {
    const known = [...this.#texts].sort(([a], [b]) => b.length - a.length);
    for (const [word, role] of known) {
      if (!text.includes(word)) continue;
      const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      text = text.replace(new RegExp(`(?<![a-z0-9.-])${escaped}(?![a-z0-9]|[.-][a-z0-9])`, 'g'), role);
    }
    return text;
  }
}
