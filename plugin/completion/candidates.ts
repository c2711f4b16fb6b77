/** What may come next on a command line. Pure: names of objects are only asked for, not fetched, here. */
import type { AnyCommand } from '../command.js';
import { commonFlags, kubeFlags, type Flag } from '../flags.js';
import { typeOf, WORKLOADS, type WorkloadType } from '../pods/subject.js';

/** A kind of objects whose names complete a word, as kubectl calls it. */
export type Completable =
  | 'pods'
  | 'nodes'
  | 'namespaces'
  | 'podmigrations.lpm.my.domain'
  | 'podcheckpoints.lpm.my.domain'
  | (typeof WORKLOADS)[WorkloadType]['words'][1];

export interface Candidates {
  /** Words that fit so far. */
  words: { word: string; about?: string }[];
  /** Objects whose names fit too, each with what stands before the name. */
  objects: { kind: Completable; prefix: string }[];
  /** The pod whose containers fit. */
  containersOf?: string;
  /** Contexts, clusters or users of the kubeconfig. */
  config?: 'get-contexts' | 'get-clusters' | 'get-users';
  /** Files complete it. */
  files: boolean;
}

const nothing = (): Candidates => ({ words: [], objects: [], files: false });

/** Flags whose value is the name of something. */
const VALUE_KINDS: Record<string, Completable> = { to: 'nodes', node: 'nodes', namespace: 'namespaces' };
const VALUE_CONFIG: Record<string, NonNullable<Candidates['config']>> = {
  context: 'get-contexts',
  cluster: 'get-clusters',
  user: 'get-users',
};
const VALUE_FILES = new Set(['kubeconfig', 'filename']);

/** What the words of a command are names of. */
const WORDS: Record<string, Completable[]> = {
  '': ['pods'],
  status: ['podmigrations.lpm.my.domain', 'pods'],
  logs: ['podmigrations.lpm.my.domain', 'pods'],
  cancel: ['podmigrations.lpm.my.domain', 'pods'],
  resolve: ['podmigrations.lpm.my.domain'],
  describe: ['podmigrations.lpm.my.domain'],
  delete: ['podmigrations.lpm.my.domain'],
  restore: ['podcheckpoints.lpm.my.domain'],
  export: ['podcheckpoints.lpm.my.domain'],
  drain: ['nodes'],
};

/** @param line the words after the program's name; the last one is being typed and may be empty */
export function candidates(
  commands: readonly AnyCommand[],
  line: readonly string[],
  { checkpoints }: { checkpoints: boolean },
): Candidates {
  const current = line.at(-1) ?? '';
  const before = line.slice(0, -1);
  if (before.includes('--')) return nothing();
  const { words, waiting, command } = read(commands, before);
  const flags = flagsOf(command);
  const pod = onlyPod(words);
  if (waiting) return ofValue(waiting, flags[waiting]!, current, '', pod);
  const assigned = /^--([a-z-]+)=(.*)$/s.exec(current);
  if (assigned) {
    const [, name = '', value = ''] = assigned;
    return flags[name] ? ofValue(name, flags[name], value, `--${name}=`, pod) : nothing();
  }
  if (current.startsWith('-')) return { ...nothing(), words: flagWords(flags, before, current) };
  const found = nothing();
  if (words.length === 0) {
    for (const { name, summary } of command.name === '' ? commands : []) {
      if (name !== '' && name.startsWith(current)) found.words.push({ word: name, about: summary });
    }
    if (command.name === '') found.words.push(...types(current));
  }
  found.objects = names(command.name, words, current, checkpoints);
  return found;
}

function names(
  command: string,
  words: readonly string[],
  current: string,
  checkpoints: boolean,
): Candidates['objects'] {
  const first = words[0] ?? '';
  if (command === '') return subjects(words, current);
  if (words.length > 1 || (words.length === 1 && !/^(pods?|po)$/.test(first))) return [];
  if (words.length === 1) return [{ kind: 'pods', prefix: '' }];
  const slash = /^(pods?|po)\//.exec(current);
  if (slash) return [{ kind: 'pods', prefix: slash[0] }];
  const kinds = WORDS[command] ?? [];
  return kinds.map((kind) => ({
    kind: checkpoints && kind === 'podmigrations.lpm.my.domain' ? 'podcheckpoints.lpm.my.domain' : kind,
    prefix: '',
  }));
}

/** Pods and what has pods: `NAME`, `TYPE NAME…`, `TYPE/NAME…`. */
function subjects(words: readonly string[], current: string): Candidates['objects'] {
  const [first] = words;
  const [typed = '', name] = current.split('/');
  if (first === undefined || first.includes('/')) {
    const type = name === undefined ? undefined : typeOf(typed);
    if (type !== undefined) return [{ kind: pluralOf(type), prefix: `${typed}/` }];
    return first === undefined ? [{ kind: 'pods', prefix: '' }] : [];
  }
  const type = typeOf(first);
  return type === undefined ? [] : [{ kind: pluralOf(type), prefix: '' }];
}

function pluralOf(type: WorkloadType | 'pod'): Completable {
  return type === 'pod' ? 'pods' : WORKLOADS[type].words[1];
}

/** `deployment/`, so that a name can follow at once. */
function types(current: string): Candidates['words'] {
  if (current === '') return [];
  return ['pod', ...Object.keys(WORKLOADS)]
    .filter((type) => type.startsWith(current))
    .map((type) => ({ word: `${type}/` }));
}

/** The pod that the line is about, when it is one. */
function onlyPod(words: readonly string[]): string | undefined {
  const [first = '', second] = words;
  const [typed = '', name] = first.split('/');
  if (name !== undefined) return typeOf(typed) === 'pod' && second === undefined ? name : undefined;
  if (typeOf(first) === 'pod') return words.length === 2 ? second : undefined;
  return words.length === 1 ? first : undefined;
}

/** The words so far, the command that they call, and the flag that waits for its value. */
function read(commands: readonly AnyCommand[], before: readonly string[]) {
  let command = commands[0]!;
  const words: string[] = [];
  let waiting: string | undefined;
  for (const word of before) {
    if (waiting) {
      waiting = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const name = longName(flagsOf(command), word);
      if (name && takesValue(flagsOf(command)[name]!) && !word.includes('=')) waiting = name;
      continue;
    }
    const called =
      words.length === 0 && command === commands[0]
        ? commands.find(({ name, aliases = [] }) => name !== '' && (name === word || aliases.includes(word)))
        : undefined;
    if (called) command = called;
    else words.push(word);
  }
  return { words, waiting, command };
}

const flagsOf = (command: AnyCommand): Record<string, Flag> => ({
  ...command.flags,
  ...commonFlags,
  ...(command.cluster ? kubeFlags : {}),
  // What it calls like one of kubectl's is its own.
  ...command.flags,
});

const takesValue = ({ type, choices }: Flag): boolean =>
  type === 'string' || type === 'array' || choices !== undefined;

function longName(flags: Record<string, Flag>, word: string): string | undefined {
  const name = word.replace(/^--?/, '').replace(/=.*$/s, '');
  if (word.startsWith('--')) return flags[name] ? name : undefined;
  return Object.keys(flags).find((flag) => flag === name || flags[flag]?.alias === name);
}

function flagWords(flags: Record<string, Flag>, before: readonly string[], current: string) {
  const given = new Set(before.map((word) => longName(flags, word)).filter(Boolean));
  return Object.entries(flags)
    .filter(([flag, { hidden, array }]) => !hidden && (array || !given.has(flag)) && flag.length > 1)
    .map(([flag, { description }]) => ({ word: `--${flag}`, about: description ?? '' }))
    .filter(({ word }) => word.startsWith(current));
}

function ofValue(
  name: string,
  { choices, candidates = choices as readonly string[] | undefined }: Flag,
  current: string,
  prefix: string,
  pod: string | undefined,
): Candidates {
  const found = nothing();
  if (name === 'container' && pod) found.containersOf = pod;
  if (candidates) {
    found.words = candidates
      .filter((choice): choice is string => typeof choice === 'string' && choice.startsWith(current))
      .map((word) => ({ word: prefix + word }));
  }
  const kind = VALUE_KINDS[name];
  if (kind) found.objects = [{ kind, prefix }];
  const config = VALUE_CONFIG[name];
  if (config) found.config = config;
  found.files = VALUE_FILES.has(name);
  return found;
}
