/** Errors as the API answers them: an object of kind Status (k8s.io/apimachinery/pkg/api/errors). */
import type { Fields } from './kube-object.js';

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** What an error is about: the group and plural of the resource, or its kind. */
export interface About {
  group: string;
  plural: string;
  kind: string;
}

export class StatusError extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly details?: StatusDetails,
    readonly metadata: Fields = {},
  ) {
    super(message);
    this.name = 'StatusError';
  }

  toStatus(): Fields {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.metadata,
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }
}

function qualified(about: About): string {
  return about.group === '' ? about.plural : `${about.plural}.${about.group}`;
}

function detailsOf(about: About, name: string, causes?: StatusCause[]): StatusDetails {
  return {
    ...(name ? { name } : {}),
    ...(about.group ? { group: about.group } : {}),
    kind: about.plural,
    ...(causes ? { causes } : {}),
  };
}

export function notFound(about: About, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(about)} "${name}" not found`, detailsOf(about, name));
}

/** A path that leads nowhere, as the API server words it. */
export function noSuchPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(about: About, name: string): StatusError {
  return new StatusError(
    409,
    'AlreadyExists',
    `${qualified(about)} "${name}" already exists`,
    detailsOf(about, name),
  );
}

export function conflict(about: About, name: string, why: string): StatusError {
  return new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(about)} "${name}": ${why}`,
    detailsOf(about, name),
  );
}

/** The words clients know for a write on an object that has changed since it was read. */
export const staleObject =
  'the object has been modified; please apply your changes to the latest version and try again';

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function forbidden(about: About, name: string, why: string, causes?: StatusCause[]): StatusError {
  const what = name ? `${qualified(about)} "${name}" is forbidden` : `${qualified(about)} is forbidden`;
  return new StatusError(403, 'Forbidden', `${what}: ${why}`, detailsOf(about, name, causes));
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized');
}

export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

export function unsupportedMediaType(supported: string[]): StatusError {
  return new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`,
  );
}

export function notAcceptable(supported: string[]): StatusError {
  return new StatusError(
    406,
    'NotAcceptable',
    `only the following media types are accepted: ${supported.join(', ')}`,
  );
}

export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message);
}

/** @param token continues the list all the same, without a common version of its pages. */
export function expiredContinue(token: string): StatusError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
    'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
    'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
    'deleted between the time the first chunk was returned and now may show up in the list.';
  return new StatusError(410, 'Expired', message, undefined, { continue: token });
}

export function tooManyRequests(message: string, causes?: StatusCause[]): StatusError {
  return new StatusError(429, 'TooManyRequests', message, causes ? { causes } : undefined);
}

export function internalError(message: string): StatusError {
  return new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

export function invalid(about: About, name: string, errors: readonly FieldError[]): StatusError {
  const kind = about.group === '' ? about.kind : `${about.kind}.${about.group}`;
  const messages = errors.map((error) => `${error.field}: ${error.body}`);
  const text = messages.length === 1 ? messages[0]! : `[${messages.join(', ')}]`;
  return new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${text}`, {
    name,
    ...(about.group ? { group: about.group } : {}),
    kind: about.kind,
    causes: errors.map((error) => ({ reason: error.reason, message: error.body, field: error.field })),
  });
}

/** One wrong field, worded like k8s.io/apimachinery/pkg/util/validation/field. */
export interface FieldError {
  field: string;
  reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueNotSupported'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid';
  /** What stands after the field's name. */
  body: string;
}

function shown(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

export const fieldError = {
  required: (field: string, detail = ''): FieldError => ({
    field,
    reason: 'FieldValueRequired',
    body: detail ? `Required value: ${detail}` : 'Required value',
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    field,
    reason: 'FieldValueInvalid',
    body: `Invalid value: ${shown(value)}: ${detail}`,
  }),
  typeInvalid: (field: string, value: unknown, detail: string): FieldError => ({
    field,
    reason: 'FieldValueTypeInvalid',
    body: `Invalid value: ${shown(value)}: ${detail}`,
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    field,
    reason: 'FieldValueForbidden',
    body: `Forbidden: ${detail}`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    field,
    reason: 'FieldValueDuplicate',
    body: `Duplicate value: ${shown(value)}`,
  }),
  notFound: (field: string, value: unknown): FieldError => ({
    field,
    reason: 'FieldValueNotFound',
    body: `Not found: ${shown(value)}`,
  }),
  notSupported: (field: string, value: unknown, supported: readonly unknown[]): FieldError => ({
    field,
    reason: 'FieldValueNotSupported',
    body: `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}`,
  }),
  tooLong: (field: string, max: number): FieldError => ({
    field,
    reason: 'FieldValueTooLong',
    body: `Too long: may not be more than ${max} bytes`,
  }),
  tooMany: (field: string, actual: number, max: number): FieldError => ({
    field,
    reason: 'FieldValueTooMany',
    body: `Too many: ${actual}: must have at most ${max} items`,
  }),
};
