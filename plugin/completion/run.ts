/**
 * `kubectl-migrate __complete WORDS…`: what kubectl_complete-migrate hands on. Answers in the format of kubectl's own
 * completion (github.com/spf13/cobra): a candidate per line, a tab and words about it, and a last line with a directive.
 */
import { execFile } from 'node:child_process';
import { kubeFlags } from '../flags.js';
import { PROGRAMS, type ProgramName } from '../programs.js';
import { candidates, type Candidates } from './candidates.js';

/** Directives of cobra: what the shell shall not do with the answer. */
const NO_SPACE = 2;
const NO_FILES = 4;

/** Milliseconds: whoever waits for a completion does not wait longer. */
const PATIENCE_MS = 3000;

export async function complete(name: ProgramName, line: readonly string[]): Promise<string> {
  const found = candidates(PROGRAMS[name], line, { checkpoints: name === 'kubectl-checkpoint' });
  const current = (line.at(-1) ?? '').replace(/^--[a-z-]+=/, '');
  const fetched = await Promise.all([
    ...found.objects.map(({ kind, prefix }) =>
      ask(['get', kind, '--ignore-not-found', '-o', 'name'], line).then((names) =>
        names.map((each) => prefix + (each.split('/')[1] ?? '')),
      ),
    ),
    ...(found.containersOf === undefined ? [] : [containerNames(found.containersOf, line)]),
    ...(found.config ? [configNames(found.config, line)] : []),
  ]);
  const objects = [...new Set(fetched.flat())]
    .filter((word) => word !== '' && word.startsWith(line.at(-1) ?? current))
    .map((word) => ({ word }));
  return answer({ ...found, words: [...found.words, ...objects] });
}

function answer({ words, files }: Candidates): string {
  const lines = words.map(({ word, about }: { word: string; about?: string }) =>
    about ? `${word}\t${about}` : word,
  );
  const open = words.length === 1 && /[/=]$/.test(words[0]!.word);
  const directive = files && words.length === 0 ? 0 : NO_FILES | (open ? NO_SPACE : 0);
  return [...lines, `:${directive}`, ''].join('\n');
}

/** With the flag before them when it stands in the same word: `--container=`. */
async function containerNames(pod: string, line: readonly string[]): Promise<string[]> {
  const template = 'jsonpath={range .spec.containers[*]}{.name}{"\\n"}{end}';
  const names = await ask(['get', 'pod', pod, '--ignore-not-found', '-o', template], line);
  const flag = /^--[a-z-]+=/.exec(line.at(-1) ?? '')?.[0] ?? '';
  return names.map((name) => flag + name);
}

async function configNames(what: string, line: readonly string[]): Promise<string[]> {
  const lines = await ask(['config', what, ...(what === 'get-contexts' ? ['-o', 'name'] : [])], line);
  return what === 'get-contexts' ? lines : lines.slice(1);
}

/** Asks kubectl, which is there because it called us, and has the person's settings. No answer is no candidates. */
function ask(args: string[], line: readonly string[]): Promise<string[]> {
  return new Promise((resolve) => {
    const all = [...args, ...connection(line), '--request-timeout=2s'];
    execFile('kubectl', all, { timeout: PATIENCE_MS, maxBuffer: 16 * 1024 * 1024 }, (error, stdout) =>
      resolve(error ? [] : stdout.split('\n').filter((each) => each !== '')),
    );
  });
}

/** The flags of the line that say which cluster and namespace is meant; those of them that are complete. */
function connection(line: readonly string[]): string[] {
  const out: string[] = [];
  const words = line.slice(0, -1);
  words.forEach((word, index) => {
    const [flag = '', value] = word.split(/=(.*)/s);
    const name = Object.entries(kubeFlags).find(
      ([long, options]) => flag === `--${long}` || ('alias' in options && flag === `-${options.alias}`),
    );
    if (!name) return;
    const [long, { type }] = name;
    if (type === 'boolean') out.push(value === undefined ? `--${long}` : `--${long}=${value}`);
    else {
      const given = value ?? words[index + 1];
      if (given !== undefined && long !== 'request-timeout') out.push(`--${long}=${given}`);
    }
  });
  return out;
}
