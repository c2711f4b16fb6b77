/** YAML as kubectl prints it. A module of its own, to be loaded when it is needed: yaml is larger than all the rest of a help. */
import { stringify } from 'yaml';

export const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();
