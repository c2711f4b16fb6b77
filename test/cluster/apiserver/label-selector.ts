import { at, fieldsOf, isFields, listOf } from './kube-object.js';

/** metav1.LabelSelector: none selects nothing, an empty one everything. */
export function matchesLabelSelector(selector: unknown, labels: Record<string, string>): boolean {
  if (!isFields(selector)) return false;
  const pairs = Object.entries(fieldsOf(selector['matchLabels']));
  return (
    pairs.every(([key, value]) => labels[key] === value) &&
    listOf(selector['matchExpressions']).every((expression) => matchesExpression(expression, labels))
  );
}

/** One requirement of a label selector or a node selector. */
export function matchesExpression(expression: unknown, labels: Record<string, string>): boolean {
  const value = labels[String(at(expression, 'key'))];
  const values = listOf(at(expression, 'values')).map(String);
  switch (at(expression, 'operator')) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return Number(value) > Number(values[0]);
    case 'Lt':
      return Number(value) < Number(values[0]);
    default:
      return false;
  }
}
