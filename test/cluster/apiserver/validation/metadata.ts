/** What every object's metadata must keep to (k8s.io/apimachinery/pkg/api/validation and util/validation). */
import { isFields, sameJson, type KubeObject, type ObjectMeta } from '../kube-object.js';
import type { Resource } from '../resources/resource.js';
import { fieldError, type FieldError } from '../status-error.js';

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const serviceName = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedNamePart = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

export const labelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const serviceMessage =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const namePartMessage =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValueMessage =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Why a text is no DNS label (RFC 1123), or undefined. */
export function labelProblem(text: string): string | undefined {
  if (text.length > 63) return 'must be no more than 63 characters';
  return label.test(text) ? undefined : labelMessage;
}

/** Why a text is no DNS subdomain, or undefined. */
export function subdomainProblem(text: string): string | undefined {
  if (text.length > 253) return 'must be no more than 253 characters';
  return subdomain.test(text) ? undefined : subdomainMessage;
}

function nameProblem(rule: Resource['strategy']['nameRule'], text: string): string | undefined {
  switch (rule) {
    case 'label':
      return labelProblem(text);
    case 'service':
      if (text.length > 63) return 'must be no more than 63 characters';
      return serviceName.test(text) ? undefined : serviceMessage;
    case 'path':
      if (text === '.' || text === '..') return `may not be '${text}'`;
      if (text.includes('/')) return "may not contain '/'";
      return text.includes('%') ? "may not contain '%'" : undefined;
    case 'subdomain':
    case undefined:
      return subdomainProblem(text);
  }
}

/** Why a text is no qualified name such as `example.com/name`, or undefined. */
export function qualifiedNameProblem(text: string): string | undefined {
  const parts = text.split('/');
  const name = parts.pop() ?? '';
  if (parts.length > 1) {
    return `a qualified name ${namePartMessage.slice('name part '.length)} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`;
  }
  const prefix = parts[0];
  if (prefix === '') return 'prefix part must be non-empty';
  if (prefix !== undefined && subdomainProblem(prefix)) return `prefix part ${subdomainMessage}`;
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return 'name part must be no more than 63 characters';
  return qualifiedNamePart.test(name) ? undefined : namePartMessage;
}

export function labelErrors(labels: unknown, field: string): FieldError[] {
  if (!isFields(labels)) return [];
  return Object.entries(labels).flatMap(([key, value]) => {
    const errors: FieldError[] = [];
    const problem = qualifiedNameProblem(key);
    if (problem) errors.push(fieldError.invalid(field, key, problem));
    if (typeof value === 'string' && value.length > 63) {
      errors.push(fieldError.invalid(field, value, 'must be no more than 63 characters'));
    } else if (typeof value === 'string' && !labelValue.test(value)) {
      errors.push(fieldError.invalid(field, value, labelValueMessage));
    }
    return errors;
  });
}

const annotationsLimit = 256 * 1024;

function annotationErrors(annotations: Record<string, string> | undefined): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem) errors.push(fieldError.invalid('metadata.annotations', key, problem));
    size += key.length + value.length;
  }
  if (size > annotationsLimit) errors.push(fieldError.tooLong('metadata.annotations', annotationsLimit));
  return errors;
}

export function validateMetadata(resource: Resource, object: KubeObject): FieldError[] {
  const { metadata } = object;
  const errors: FieldError[] = [];
  if (metadata.name === '') {
    errors.push(fieldError.required('metadata.name', 'name or generateName is required'));
  } else {
    const problem = nameProblem(resource.strategy.nameRule, metadata.name);
    if (problem) errors.push(fieldError.invalid('metadata.name', metadata.name, problem));
  }
  errors.push(...labelErrors(metadata.labels, 'metadata.labels'), ...annotationErrors(metadata.annotations));
  for (const [i, finalizer] of (metadata.finalizers ?? []).entries()) {
    const problem = qualifiedNameProblem(finalizer);
    if (problem) errors.push(fieldError.invalid(`metadata.finalizers[${i}]`, finalizer, problem));
  }
  errors.push(...ownerErrors(metadata));
  return errors;
}

function ownerErrors(metadata: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  const controllers = (metadata.ownerReferences ?? []).filter((owner) => owner.controller === true);
  if (controllers.length > 1) {
    errors.push(
      fieldError.invalid(
        'metadata.ownerReferences',
        metadata.ownerReferences,
        `Only one reference can have Controller set to true. Found "true" in references for ${controllers[0]!.name} and ${controllers[1]!.name}`,
      ),
    );
  }
  for (const [i, owner] of (metadata.ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${i}]`;
    if (!owner.apiVersion) {
      errors.push(fieldError.invalid(`${field}.apiVersion`, '', 'version must not be empty'));
    }
    if (!owner.kind) errors.push(fieldError.invalid(`${field}.kind`, '', 'must not be empty'));
    if (!owner.name) errors.push(fieldError.invalid(`${field}.name`, '', 'must not be empty'));
    if (!owner.uid) errors.push(fieldError.invalid(`${field}.uid`, '', 'must not be empty'));
  }
  return errors;
}

export function validateMetadataUpdate(next: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  if (next.metadata.deletionTimestamp) {
    const known = new Set(old.metadata.finalizers ?? []);
    const added = (next.metadata.finalizers ?? []).filter((finalizer) => !known.has(finalizer));
    if (added.length > 0) {
      const shown = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
      errors.push(
        fieldError.forbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${shown}}`,
        ),
      );
    }
  }
  return errors;
}

/** For fields that must stay as they are. */
export function immutable(next: unknown, old: unknown, field: string): FieldError[] {
  return sameJson(next, old) ? [] : [fieldError.invalid(field, next, 'field is immutable')];
}
