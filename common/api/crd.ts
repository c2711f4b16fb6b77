/** Makes the CustomResourceDefinitions of manifests/crd from the schemas. Pure. */
import { stringify } from 'yaml';
import { GROUP, VERSION } from './names.js';
import type { KindInfo } from './kinds.js';

/** The schema as plain JSON: TypeBox keeps its own marks in symbols, which JSON leaves behind. */
const plain = (value: unknown): Record<string, unknown> =>
  JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

/** The CustomResourceDefinition (apiextensions.k8s.io/v1) of one kind. */
export function customResourceDefinition(info: KindInfo): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${info.plural}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'kubectl-migrate' } },
    spec: {
      group: GROUP,
      scope: info.scope,
      names: {
        kind: info.kind,
        listKind: `${info.kind}List`,
        plural: info.plural,
        singular: info.singular,
        shortNames: info.shortNames,
        categories: ['lpm'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: info.columns.map((column) => ({ ...column })),
          schema: {
            openAPIV3Schema: {
              description: info.description,
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: {
                  description: 'Versioned schema of this representation of the object.',
                  type: 'string',
                },
                kind: { description: 'Kind of this object.', type: 'string' },
                metadata: { type: 'object' },
                spec: plain(info.spec),
                status: plain(info.status),
              },
            },
          },
        },
      ],
    },
  };
}

/** The file that stands in manifests/crd for a kind. */
export function crdFile(info: KindInfo): { name: string; text: string } {
  return {
    name: `${GROUP}_${info.plural}.yaml`,
    text: `# Generated from common/api/schema.ts by \`npm run generate\`.\n${stringify(customResourceDefinition(info), { lineWidth: 0, aliasDuplicateObjects: false })}`,
  };
}
