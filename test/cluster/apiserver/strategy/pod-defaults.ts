/** What the API fills into a pod template (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go). */
import { isFields, listOf, type Fields } from '../kube-object.js';
import type { Container, PodSpec } from '../resources/pod-types.js';

/** Fills in the defaults of a pod spec, in place. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.securityContext ??= {};
  spec.schedulerName ??= 'default-scheduler';
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const container of [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ]) {
    defaultContainer(container, spec.hostNetwork === true);
  }
}

function defaultContainer(container: Container, hostNetwork: boolean): void {
  container.imagePullPolicy ??= /(^|\/)[^/:@]+(:latest)?$/.test(container.image ?? '')
    ? 'Always'
    : 'IfNotPresent';
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.resources ??= {};
  const { limits } = container.resources;
  if (limits) container.resources.requests = { ...limits, ...container.resources.requests };
  for (const port of container.ports ?? []) {
    port.protocol ??= 'TCP';
    if (hostNetwork) port.hostPort ??= port.containerPort;
  }
  for (const env of container.env ?? [])
    defaultFieldRef(isFields(env['valueFrom']) ? env['valueFrom'] : undefined);
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[name];
    if (!isFields(probe)) continue;
    probe['timeoutSeconds'] ??= 1;
    probe['periodSeconds'] ??= 10;
    probe['successThreshold'] ??= 1;
    probe['failureThreshold'] ??= 3;
    defaultHttpGet(probe['httpGet']);
    if (isFields(probe['grpc'])) probe['grpc']['service'] ??= '';
  }
  const lifecycle = container['lifecycle'];
  if (isFields(lifecycle)) {
    for (const hook of [lifecycle['postStart'], lifecycle['preStop']]) {
      if (isFields(hook)) defaultHttpGet(hook['httpGet']);
    }
  }
}

function defaultHttpGet(httpGet: unknown): void {
  if (!isFields(httpGet)) return;
  httpGet['path'] ??= '/';
  httpGet['scheme'] ??= 'HTTP';
}

function defaultFieldRef(source: Fields | undefined): void {
  if (isFields(source?.['fieldRef'])) source['fieldRef']['apiVersion'] ??= 'v1';
  if (isFields(source?.['resourceFieldRef'])) source['resourceFieldRef']['divisor'] ??= '0';
}

/** 0644 */
const readableByAll = 0o644;

function defaultVolume(volume: Fields): void {
  if (Object.keys(volume).length === 1) volume['emptyDir'] = {};
  for (const name of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const source = volume[name];
    if (isFields(source)) source['defaultMode'] ??= readableByAll;
  }
  for (const item of listOf(isFields(volume['downwardAPI']) ? volume['downwardAPI']['items'] : undefined)) {
    if (isFields(item)) defaultFieldRef(item);
  }
  if (isFields(volume['hostPath'])) volume['hostPath']['type'] ??= '';
  const { projected } = volume;
  for (const source of listOf(isFields(projected) ? projected['sources'] : undefined)) {
    if (!isFields(source)) continue;
    const token = source['serviceAccountToken'];
    if (isFields(token)) token['expirationSeconds'] ??= 3600;
    const downward = source['downwardAPI'];
    for (const item of listOf(isFields(downward) ? downward['items'] : undefined)) {
      if (isFields(item)) defaultFieldRef(item);
    }
  }
}
