/**
 * An identity that somebody else provides, in a folder with tls.crt, tls.key and ca.crt: by hand, or as a mounted Secret of type
 * kubernetes.io/tls, as cert-manager makes it. It is read again when the files change.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LpmError, messageOf } from '../errors.js';
import { certificatesOf, flawOf, IdentityKeeper, type Identity } from './identity.js';
import { endOf } from './times.js';

/** A Secret reaches the folder within a minute or so: looking more often would find nothing sooner. */
const LOOK_EVERY_MS = 10_000;

export class GivenIdentity extends IdentityKeeper {
  readonly #timer: NodeJS.Timeout;

  /** @throws InvalidArgument when something is there that cannot be used, so that a wrong set-up shows at the start */
  constructor(
    /** The first one that holds something counts. */
    private readonly folders: readonly string[],
    private readonly onProblem: (problem: string) => void = () => {},
    everyMs = LOOK_EVERY_MS,
  ) {
    super();
    this.set(readFirst(folders));
    this.#sayWhenOver();
    this.#timer = setInterval(() => this.look(), everyMs).unref();
  }

  /** Reads the files now. What cannot be used leaves things as they are: files are not replaced all at the same instant. */
  look(): void {
    try {
      this.set(readFirst(this.folders));
      this.#say('');
      this.#sayWhenOver();
    } catch (error) {
      this.#say(messageOf(error));
    }
  }

  override close(): void {
    clearInterval(this.#timer);
  }

  #sayWhenOver(): void {
    const [own] = certificatesOf(this.current?.cert ?? '');
    if (own && endOf(own) < Date.now()) {
      this.#say(`The certificate in ${this.folders[0]} has expired (${own.validTo}): put a new one there.`);
    }
  }

  #say(problem: string): void {
    if (problem && problem !== this.problem) this.onProblem(problem);
    this.problem = problem;
  }
}

function readFirst(folders: readonly string[]): Identity | undefined {
  for (const folder of folders) {
    const identity = readIdentity(folder);
    if (identity) return identity;
  }
  return undefined;
}

/** Undefined when neither a certificate nor a key is there. */
function readIdentity(folder: string): Identity | undefined {
  const [cert, key, ca] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => readIfThere(join(folder, name)));
  if (cert === undefined && key === undefined) return undefined;
  const missing = Object.entries({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca })
    .filter(([, text]) => text === undefined)
    .map(([name]) => name);
  if (missing.length > 0) {
    throw unusable(folder, `${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing`);
  }
  const identity = { cert: cert!, key: key!, ca: ca! };
  const flaw = flawOf(identity);
  if (flaw) throw unusable(folder, flaw);
  return identity;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new LpmError('InvalidArgument', `The file ${file} cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

const unusable = (folder: string, why: string): LpmError =>
  new LpmError('InvalidArgument', `The certificates in ${folder} cannot be used: ${why}.`, {
    hint: 'The folder given with --tls-dir must hold tls.crt, tls.key and ca.crt (PEM), or none of them.',
  });
