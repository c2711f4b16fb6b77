/** What people get wrong in pods, in the API server's words (k8s.io/kubernetes/pkg/apis/core/validation). */
import { isFields, sameJson } from '../kube-object.js';
import { parseQuantity } from '../../quantity.js';
import { containersOf, type Container, type Pod, type PodSpec } from '../resources/pod-types.js';
import { fieldError, type FieldError } from '../status-error.js';
import { labelErrors, labelProblem, subdomainProblem } from '../validation/metadata.js';

export function validatePod(pod: Pod): FieldError[] {
  return validatePodSpec(pod.spec, 'spec');
}

/** `field` is where the spec stands: `spec`, or `spec.template.spec` of a workload. */
export function validatePodSpec(spec: PodSpec, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = new Set<string>();
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    const at = `${field}.volumes[${i}]`;
    if (!volume.name) errors.push(fieldError.required(`${at}.name`));
    else {
      const problem = labelProblem(volume.name);
      if (problem) errors.push(fieldError.invalid(`${at}.name`, volume.name, problem));
      if (volumes.has(volume.name)) errors.push(fieldError.duplicate(`${at}.name`, volume.name));
      volumes.add(volume.name);
    }
    if (Object.keys(volume).length > 2) {
      errors.push(
        fieldError.forbidden(
          `${at}.${Object.keys(volume).at(-1)!}`,
          'may not specify more than 1 volume type',
        ),
      );
    }
  }
  if (!spec.containers?.length) errors.push(fieldError.required(`${field}.containers`));
  const names = new Set<string>();
  for (const { container, field: place } of containersOf(spec)) {
    errors.push(...validateContainer(container, place.replace(/^spec/, field), volumes, names));
  }
  errors.push(...oneOf(spec.restartPolicy, `${field}.restartPolicy`, ['Always', 'OnFailure', 'Never']));
  errors.push(
    ...oneOf(spec.dnsPolicy, `${field}.dnsPolicy`, [
      'ClusterFirst',
      'ClusterFirstWithHostNet',
      'Default',
      'None',
    ]),
  );
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    errors.push(
      fieldError.invalid(
        `${field}.terminationGracePeriodSeconds`,
        spec.terminationGracePeriodSeconds,
        'must be greater than or equal to 0',
      ),
    );
  }
  for (const name of ['nodeName', 'serviceAccountName', 'runtimeClassName', 'priorityClassName'] as const) {
    const value = spec[name];
    const problem = value ? subdomainProblem(value) : undefined;
    if (problem) errors.push(fieldError.invalid(`${field}.${name}`, value, problem));
  }
  const hostname = spec['hostname'];
  if (typeof hostname === 'string' && hostname !== '') {
    const problem = labelProblem(hostname);
    if (problem) errors.push(fieldError.invalid(`${field}.hostname`, hostname, problem));
  }
  errors.push(...labelErrors(spec.nodeSelector, `${field}.nodeSelector`));
  return errors;
}

function oneOf(value: string | undefined, field: string, supported: string[]): FieldError[] {
  if (value === undefined || supported.includes(value)) return [];
  return [fieldError.notSupported(field, value, [...supported].sort())];
}

function validateContainer(
  container: Container,
  field: string,
  volumes: Set<string>,
  names: Set<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!container.name) errors.push(fieldError.required(`${field}.name`));
  else {
    const problem = labelProblem(container.name);
    if (problem) errors.push(fieldError.invalid(`${field}.name`, container.name, problem));
    if (names.has(container.name)) errors.push(fieldError.duplicate(`${field}.name`, container.name));
    names.add(container.name);
  }
  if (!container.image) errors.push(fieldError.required(`${field}.image`));
  else if (container.image !== container.image.trim()) {
    errors.push(
      fieldError.invalid(`${field}.image`, container.image, 'must not have leading or trailing whitespace'),
    );
  }
  errors.push(
    ...oneOf(container.imagePullPolicy, `${field}.imagePullPolicy`, ['Always', 'IfNotPresent', 'Never']),
  );
  errors.push(...validatePorts(container, field), ...validateEnv(container, field));
  errors.push(...validateMounts(container, field, volumes), ...validateResources(container, field));
  return errors;
}

function validatePorts(container: Container, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [i, port] of (container.ports ?? []).entries()) {
    const at = `${field}.ports[${i}]`;
    if (!port.containerPort) errors.push(fieldError.required(`${at}.containerPort`));
    else errors.push(...portRange(port.containerPort, `${at}.containerPort`));
    if (port.hostPort) errors.push(...portRange(port.hostPort, `${at}.hostPort`));
    errors.push(...oneOf(port.protocol, `${at}.protocol`, ['TCP', 'UDP', 'SCTP']));
    if (port.name) {
      if (names.has(port.name)) errors.push(fieldError.duplicate(`${at}.name`, port.name));
      names.add(port.name);
      if (port.name.length > 15) {
        errors.push(fieldError.invalid(`${at}.name`, port.name, 'must be no more than 15 characters'));
      }
    }
  }
  return errors;
}

function portRange(port: number, field: string): FieldError[] {
  return port >= 1 && port <= 65535
    ? []
    : [fieldError.invalid(field, port, 'must be between 1 and 65535, inclusive')];
}

function validateEnv(container: Container, field: string): FieldError[] {
  return (container.env ?? []).flatMap((env, i) => {
    const at = `${field}.env[${i}]`;
    if (!env['name']) return [fieldError.required(`${at}.name`)];
    if (String(env['name']).includes('=')) {
      return [
        fieldError.invalid(
          `${at}.name`,
          env['name'],
          "a valid environment variable name must consist only of printable ASCII characters other than '='",
        ),
      ];
    }
    if (env['value'] && isFields(env['valueFrom'])) {
      return [fieldError.invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty')];
    }
    return [];
  });
}

function validateMounts(container: Container, field: string, volumes: Set<string>): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${field}.volumeMounts[${i}]`;
    if (!mount.name) errors.push(fieldError.required(`${at}.name`));
    else if (!volumes.has(mount.name)) errors.push(fieldError.notFound(`${at}.name`, mount.name));
    if (!mount.mountPath) errors.push(fieldError.required(`${at}.mountPath`));
    else if (paths.has(mount.mountPath)) {
      errors.push(fieldError.invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    }
    paths.add(mount.mountPath);
  }
  return errors;
}

function validateResources(container: Container, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const { limits = {}, requests = {} } = container.resources ?? {};
  for (const [kind, amounts] of Object.entries({ limits, requests })) {
    for (const [name, amount] of Object.entries(amounts)) {
      const value = parseQuantity(amount);
      if (value !== undefined && value < 0) {
        errors.push(
          fieldError.invalid(
            `${field}.resources.${kind}[${name}]`,
            amount,
            'must be greater than or equal to 0',
          ),
        );
      }
    }
  }
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit !== undefined && parseQuantity(request)! > parseQuantity(limit)!) {
      errors.push(
        fieldError.invalid(
          `${field}.resources.requests`,
          request,
          `must be less than or equal to ${name} limit of ${limit}`,
        ),
      );
    }
  }
  return errors;
}

const onlyTheseMayChange =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** A pod's spec is fixed but for images, deadlines, more tolerations and, while it is gated, where it may run. */
export function validatePodUpdate(next: Pod, old: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const mutable = withFixedParts(next.spec, old.spec);
  const differences = differingPaths(mutable, old.spec, 'spec');
  if (differences.length > 0) {
    errors.push(
      fieldError.forbidden('spec', `${onlyTheseMayChange}\nthese differ: ${differences.join(', ')}\n`),
    );
  }
  const kept = (old.spec.tolerations ?? []).every((toleration) =>
    (next.spec.tolerations ?? []).some((other) => sameJson(toleration, other)),
  );
  if (!kept) {
    errors.push(
      fieldError.forbidden(
        'spec.tolerations',
        'existing toleration can not be modified except its tolerationSeconds',
      ),
    );
  }
  const added = (next.spec.schedulingGates ?? []).filter(
    (gate) => !(old.spec.schedulingGates ?? []).some((other) => other.name === gate.name),
  );
  if (added.length > 0) {
    errors.push(
      fieldError.forbidden(
        'spec.schedulingGates',
        'only deletion is allowed, but found new scheduling gates',
      ),
    );
  }
  for (const { container, field } of containersOf(next.spec)) {
    if (!container.image) errors.push(fieldError.required(`${field}.image`));
  }
  return errors;
}

function withFixedParts(next: PodSpec, old: PodSpec): PodSpec {
  const images = (containers: Container[] | undefined, before: Container[] | undefined) =>
    containers?.map((container, i) => {
      const image = before?.[i]?.image;
      return image === undefined ? container : { ...container, image };
    });
  const result: PodSpec = { ...next, containers: images(next.containers, old.containers) ?? [] };
  const initContainers = images(next.initContainers, old.initContainers);
  if (initContainers) result.initContainers = initContainers;
  const fixed: (keyof PodSpec)[] = ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'];
  if (old.schedulingGates?.length) fixed.push('nodeSelector', 'affinity');
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && next.terminationGracePeriodSeconds === 1) {
    fixed.push('terminationGracePeriodSeconds');
  }
  for (const name of fixed) {
    if (old[name] === undefined) delete result[name];
    else result[name] = old[name];
  }
  return result;
}

function differingPaths(a: unknown, b: unknown, path: string): string[] {
  if (sameJson(a, b)) return [];
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    return a.flatMap((item, i) => differingPaths(item, b[i], `${path}[${i}]`));
  }
  if (isFields(a) && isFields(b)) {
    const names = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...names].flatMap((name) => differingPaths(a[name], b[name], `${path}.${name}`));
  }
  return [path];
}
