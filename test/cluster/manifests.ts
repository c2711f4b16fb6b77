import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';

/** Kinds that run the programs as pods: the local cluster starts them as processes instead. */
const leftOut = new Set(['Deployment', 'DaemonSet', 'Kustomization', 'List']);

/** The objects of the YAML files in a folder and, with their definitions first, in its folder `crd`. */
export function readManifests(folder: string): KubeObject[] {
  const files = ['crd', '']
    .map((sub) => join(folder, sub))
    .filter((path) => existsSync(path))
    .flatMap((path) =>
      readdirSync(path)
        .filter((name) => /\.ya?ml$/.test(name) && name !== 'kustomization.yaml')
        .sort()
        .map((name) => join(path, name)),
    );
  return files
    .flatMap((file) =>
      parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as KubeObject),
    )
    .filter((object) => object?.kind && !leftOut.has(object.kind));
}

/** Creates or updates the objects, namespaces and definitions before the rest. Kinds that are not served are left out. */
export async function applyManifests(kube: KubeClient, objects: readonly KubeObject[]): Promise<void> {
  const early = (object: KubeObject): boolean =>
    ['Namespace', 'CustomResourceDefinition'].includes(object.kind ?? '');
  await Promise.all(objects.filter(early).map((object) => apply(kube, object)));
  const definitions = objects.filter((object) => object.kind === 'CustomResourceDefinition');
  await Promise.all(definitions.map((definition) => established(kube, definition.metadata.name)));
  await Promise.all(objects.filter((object) => !early(object)).map((object) => apply(kube, object)));
}

async function apply(kube: KubeClient, object: KubeObject): Promise<void> {
  const path = await collectionPath(kube, object);
  if (!path) return;
  try {
    await kube.json('POST', path, { body: object });
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error;
    await kube.json('PATCH', `${path}/${object.metadata.name}`, {
      body: object,
      contentType: 'application/merge-patch+json',
    });
  }
}

async function collectionPath(kube: KubeClient, object: KubeObject): Promise<string | undefined> {
  const apiVersion = object.apiVersion ?? 'v1';
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  interface Served {
    resources: { name: string; kind: string; namespaced: boolean }[];
  }
  try {
    const { resources } = await kube.json<Served>('GET', base);
    const resource = resources.find(({ kind, name }) => kind === object.kind && !name.includes('/'));
    if (!resource) return undefined;
    const namespace = object.metadata.namespace ?? 'default';
    return resource.namespaced
      ? `${base}/namespaces/${namespace}/${resource.name}`
      : `${base}/${resource.name}`;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return undefined;
    throw error;
  }
}

interface Definition extends KubeObject {
  status?: { conditions?: { type: string; status: string }[] };
}

async function established(kube: KubeClient, name: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { status } = await kube.json<Definition>(
      'GET',
      `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`,
    );
    if (status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True')) return;
    if (Date.now() > deadline)
      throw new Error(`The definition ${name} was not established within 10 seconds.`);
    await delay(20);
  }
}
