/** The columns of custom resources (k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor). */
import { age } from '../time.js';
import { jsonPath } from './json-path.js';
import { nameAndAge, type Column, type TableSpec } from './table.js';

export interface PrinterColumn extends Column {
  jsonPath: string;
}

export function customTable(columns: PrinterColumn[] | undefined): TableSpec {
  if (!columns?.length) return nameAndAge;
  return {
    columns: [{ name: 'Name', type: 'string', format: 'name' }, ...columns],
    row: (object, now) => [
      object.metadata.name,
      ...columns.map((column) => cell(column, jsonPath(column.jsonPath, object), now)),
    ],
  };
}

function cell(column: PrinterColumn, values: unknown[], now: number): unknown {
  if (values.length === 0 || values[0] === null) return null;
  const value = values.length === 1 ? values[0] : values;
  switch (column.type) {
    case 'date':
      return age(value, now);
    case 'integer':
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'string':
      return typeof value === 'string' ? value : JSON.stringify(value);
  }
}
