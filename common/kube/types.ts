/** Kubernetes objects as they come over the wire: client-node's types with times as the strings that they are. */
import type {
  CoreV1Event,
  V1ConfigMap,
  V1Lease,
  V1Namespace,
  V1Node,
  V1Pod,
  V1Secret,
  V1TokenReview,
  V1TokenReviewStatus,
} from '@kubernetes/client-node';
import type { ObjectMeta } from '../api/schema.js';

/** client-node declares times as Date, JSON has strings. */
export type Plain<T> = T extends Date
  ? string
  : T extends (infer E)[]
    ? Plain<E>[]
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** A kind of client-node's with the metadata that ours have. */
export type Typed<T extends { metadata?: unknown }> = Omit<Plain<T>, 'metadata'> & { metadata: ObjectMeta };

export type Pod = Typed<V1Pod>;
export type Node = Typed<V1Node>;
export type Namespace = Typed<V1Namespace>;
export type ConfigMap = Typed<V1ConfigMap>;
export type Lease = Typed<V1Lease>;
export type Secret = Typed<V1Secret>;
export type TokenReviewStatus = Partial<Plain<V1TokenReviewStatus>>;
/** It is answered and not kept: it has no name. */
export type TokenReview = Omit<Typed<V1TokenReview>, 'status'> & { status?: TokenReviewStatus };
export type CoreEvent = Typed<CoreV1Event>;

export interface KubeList<T> {
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}
