/** The server-side tables that `kubectl get` prints (meta.k8s.io/v1, Table). */
import type { KubeObject } from '../kube-object.js';
import { age } from '../time.js';

export interface Column {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  format?: string;
  description?: string;
  /** 0 is always shown, 1 with -o wide. */
  priority?: number;
}

export interface TableSpec {
  columns: Column[];
  row(object: KubeObject, nowMs: number): unknown[];
}

export interface TableOptions {
  /** What each row carries beside its cells. */
  includeObject: 'None' | 'Metadata' | 'Object';
  withColumns: boolean;
}

const defaultFormat: Record<string, string> = { Name: 'name' };

export function toTable(
  spec: TableSpec,
  objects: readonly KubeObject[],
  listMeta: Record<string, unknown>,
  options: TableOptions,
): Record<string, unknown> {
  const now = Date.now();
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta,
    columnDefinitions: options.withColumns
      ? spec.columns.map((column) => ({
          name: column.name,
          type: column.type,
          format: column.format ?? defaultFormat[column.name] ?? '',
          description: column.description ?? column.name,
          priority: column.priority ?? 0,
        }))
      : null,
    rows: objects.map((object) => ({
      cells: spec.row(object, now),
      ...(options.includeObject === 'None'
        ? {}
        : { object: options.includeObject === 'Object' ? object : partialMetadata(object) }),
    })),
  };
}

export function partialMetadata(object: KubeObject): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

/** For kinds without columns of their own. */
export const nameAndAge: TableSpec = {
  columns: [
    { name: 'Name', type: 'string', format: 'name' },
    { name: 'Age', type: 'string' },
  ],
  row: (object, now) => [object.metadata.name, age(object.metadata.creationTimestamp, now)],
};
