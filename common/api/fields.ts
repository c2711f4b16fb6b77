/** The fields and rules that our schemas share. Only what a structural schema of apiextensions.k8s.io/v1 allows. */
import { Type } from '@sinclair/typebox';

const DNS_SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
export const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** A string enum: TypeBox would write `anyOf` of consts, which a structural schema does not allow. */
export const oneOf = <const T extends readonly string[]>(values: T, options: Record<string, unknown>) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options });

export const podName = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 253, pattern: DNS_SUBDOMAIN });
export const time = (description: string) => Type.String({ description, format: 'date-time' });
export const int64 = (description: string, options: Record<string, unknown> = {}) =>
  Type.Integer({ description, format: 'int64', minimum: 0, ...options });
export const text = (description: string) => Type.String({ description });
export const optional = Type.Optional;

export const Condition = Type.Object(
  {
    type: Type.String({
      description: 'Type of the condition in CamelCase.',
      maxLength: 316,
      pattern:
        '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
    }),
    status: oneOf(['True', 'False', 'Unknown'], { description: 'Status of the condition.' }),
    reason: Type.String({
      description: 'Reason for the last transition: one CamelCase word for programs.',
      minLength: 1,
      maxLength: 1024,
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
    }),
    message: Type.String({ description: 'A sentence for people.', maxLength: 32768 }),
    lastTransitionTime: time('When the status last changed.'),
    observedGeneration: optional(int64('metadata.generation that the condition was computed from.')),
  },
  { description: 'One aspect of the state, as in metav1.Condition.' },
);
export const conditions = optional(
  Type.Array(Condition, {
    description: 'The state for programs: one entry for each type.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
);

export const phaseTransitions = optional(
  Type.Array(
    Type.Object({
      phase: text('The phase that was entered.'),
      transitionTime: time('When it was entered.'),
    }),
    { description: 'When each phase was entered, in order.', 'x-kubernetes-list-type': 'atomic' },
  ),
);

export const immutable = (field: string) => ({
  'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: `${field} is immutable` }],
});

// An optional field can also be added or taken away, which a rule on the field itself does not see.
const immutableSpec = {
  'x-kubernetes-validations': [
    { rule: 'self == oldSelf', message: 'spec is immutable: make a new object instead' },
  ],
};

export const Spec = <T extends Parameters<typeof Type.Object>[0]>(properties: T, description: string) =>
  Type.Object(properties, { description, ...immutableSpec });

/**
 * A spec of which some fields may still be set after its creation: the CEL rule of such a field, if it has one, compares self
 * with oldSelf. Every other field is compared by itself, as a rule on an optional field would not see that it comes or goes.
 * `rules` say what does not go together.
 */
export const SpecSettable = <T extends Parameters<typeof Type.Object>[0]>(
  properties: T,
  settable: { readonly [Name in keyof T]?: { rule: string; message: string } | 'always' },
  description: string,
  rules: readonly { rule: string; message: string }[] = [],
) => {
  const fixed = Object.keys(properties).filter((name) => !(name in settable));
  const unchanged = (name: string) =>
    Type.Object({ [name]: properties[name]! }).required?.includes(name)
      ? `self.${name} == oldSelf.${name}`
      : `(has(self.${name}) ? has(oldSelf.${name}) && self.${name} == oldSelf.${name} : !has(oldSelf.${name}))`;
  return Type.Object(properties, {
    description,
    'x-kubernetes-validations': [
      {
        rule: fixed.map(unchanged).join(' && '),
        message: `spec is immutable but for ${Object.keys(settable).join(' and ')}: make a new object instead`,
      },
      ...Object.values<{ rule: string; message: string } | 'always' | undefined>(settable).filter(
        (rule) => rule !== undefined && rule !== 'always',
      ),
      ...rules,
    ],
  });
};
