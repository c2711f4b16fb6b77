/** The paths of a resource with their operations, as far as kubectl looks at them. */
import type { Resource } from '../resources/resource.js';
import type { Json } from './components.js';

const text = (name: string, description: string): Json => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string', uniqueItems: true },
});

const dryRun = text('dryRun', 'All: process the request without storing the result.');
const fieldManager = text('fieldManager', 'Name of the actor that makes the change.');
const fieldValidation = text('fieldValidation', 'What to do about unknown fields: Ignore, Warn or Strict.');
const force = {
  ...text('force', 'Take over fields that another manager applied.'),
  schema: { type: 'boolean' },
};
const selectors = [
  text('labelSelector', 'Restricts the list by labels.'),
  text('fieldSelector', 'Restricts the list by fields.'),
  text('limit', 'Number of objects in one answer.'),
  text('continue', 'Where the last answer ended.'),
  text('resourceVersion', 'Version to read or watch from.'),
  text('watch', 'Watch for changes.'),
  text('sendInitialEvents', 'Begin a watch with the objects that there are.'),
];

/** kubectl apply chooses the kind of its patch by this list. */
function patchTypes(resource: Resource): string[] {
  return [
    'application/json-patch+json',
    'application/merge-patch+json',
    ...(resource.isCustom ? [] : ['application/strategic-merge-patch+json']),
    'application/apply-patch+yaml',
  ];
}

/** `schema` and `list` are references to the published schemas. */
export function resourcePaths(resource: Resource, schema: Json, list: Json): Record<string, Json> {
  const { group, version, plural, namespaced } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const home = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const gvk = { group, version, kind: resource.kind };
  const parameters = [
    ...(namespaced ? [{ name: 'namespace', in: 'path', required: true, schema: { type: 'string' } }] : []),
  ];
  const nameParameter = { name: 'name', in: 'path', required: true, schema: { type: 'string' } };
  const answer = (code: string, of: Json): Json => ({
    responses: { [code]: { description: 'OK', content: { 'application/json': { schema: of } } } },
  });
  const body = (types: string[], of: Json): Json => ({
    requestBody: { required: true, content: Object.fromEntries(types.map((type) => [type, { schema: of }])) },
  });
  const operation = (verb: string, action: string, more: Json): Json => ({
    operationId: `${verb}${resource.kind}`,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
    ...more,
  });
  const writing = [dryRun, fieldManager, fieldValidation];
  const json = ['application/json'];
  const object = (name: string): Json => ({
    parameters: [nameParameter, ...parameters],
    get: operation(`read${name}`, 'get', { ...answer('200', schema) }),
    put: operation(`replace${name}`, 'put', {
      parameters: writing,
      ...body(json, schema),
      ...answer('200', schema),
    }),
    patch: operation(`patch${name}`, 'patch', {
      parameters: [...writing, force],
      ...body(patchTypes(resource), { type: 'object' }),
      ...answer('200', schema),
    }),
  });
  const paths: Record<string, Json> = {
    [home]: {
      parameters,
      get: operation('list', 'list', { parameters: selectors, ...answer('200', list) }),
      post: operation('create', 'post', {
        parameters: writing,
        ...body(json, schema),
        ...answer('201', schema),
      }),
      delete: operation('deletecollection', 'deletecollection', {
        parameters: selectors,
        ...answer('200', list),
      }),
    },
    [`${home}/{name}`]: {
      ...object(''),
      delete: operation('delete', 'delete', { parameters: [dryRun], ...answer('200', schema) }),
    },
  };
  if (resource.hasStatus) paths[`${home}/{name}/status`] = object('Status');
  if (namespaced) {
    paths[`${root}/${plural}`] = {
      get: operation('listForAllNamespaces', 'list', { parameters: selectors, ...answer('200', list) }),
    };
  }
  return paths;
}
