/** Root file systems made of Debian packages on the spot, kept in the cache. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { takeLock } from './lock.js';
import { cacheDir } from './paths.js';
import { must, run } from './run.js';

/** Releases of Debian that roots are made of. */
export type Suite = 'bookworm' | 'trixie' | 'forky';

/** Raise it when the way of building changes, so that old roots are not taken for new ones. */
const recipe = 1;

export type Say = (line: string) => void;

export interface DebianRoot {
  /** First part of its folder's name in the cache. */
  name: string;
  /** As a sentence says it: "the nodes' root". */
  what: string;
  packages: readonly string[];
  /** Default: forky. */
  suite?: Suite;
}

/**
 * The folder of the ready root, built into the cache when it is not there (about 45 s). Whoever uses it writes nothing to it.
 *
 * @throws with one sentence when not root, or when packages cannot be fetched.
 */
export async function debianRoot(
  { name, what, packages, suite = 'forky' }: DebianRoot,
  say: Say,
): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([suite, packages, recipe, process.arch]))
    .digest('hex')
    .slice(0, 12);
  const root = join(cacheDir, `${name}-${suite}-${key}`);
  await once(root, say, () => build(root, { what, packages, suite }, say));
  return root;
}

/**
 * Makes a file or folder of the cache unless it is there. Whoever else wants it meanwhile, in this process or another,
 * waits and finds it made.
 */
export async function once(file: string, say: Say, make: () => Promise<void>): Promise<void> {
  if (existsSync(file)) return;
  mkdirSync(dirname(file), { recursive: true });
  const release = await takeLock(`${file}.lock`, say);
  try {
    if (!existsSync(file)) await make();
  } finally {
    release();
  }
}

async function build(
  root: string,
  { what, packages, suite }: Required<Omit<DebianRoot, 'name'>>,
  say: Say,
): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error(`Building ${what} needs root.`);
  await ensureDebootstrap(suite, say);
  const partial = `${root}.partial-${process.pid}`;
  try {
    say(`building ${what} from Debian ${suite} packages (once, about a minute)`);
    // debootstrap says a line for every package; every phase begins with one of these words.
    let phase = '';
    const result = await run(
      'debootstrap',
      ['--variant=minbase', `--include=${packages.join(',')}`, suite, partial, debianMirror()],
      {
        env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
        onLine: (line) => {
          const word = /^I: (Retrieving|Extracting|Unpacking|Configuring)/.exec(line)?.[1];
          if (word && word !== phase) say(`  ${word.toLowerCase()} packages`);
          phase = word ?? phase;
        },
      },
    );
    if (result.code !== 0) {
      const reason = result.stdout
        .split('\n')
        .filter((line) => /^[EW]:/.test(line))
        .slice(-3)
        .join(' ');
      throw new Error(
        `debootstrap could not build ${what} (${reason || result.stderr.trim().slice(-300)}). ` +
          `Is ${debianMirror()} reachable?`,
      );
    }
    rmSync(join(partial, 'var/cache/apt'), { recursive: true, force: true });
    rmSync(join(partial, 'var/lib/apt/lists'), { recursive: true, force: true });
    renameSync(partial, root);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  for (const name of readdirSync(cacheDir)) {
    const other = join(cacheDir, name);
    // A root of an older recipe is only taken away when no node can be using it: that is for `rm -rf .cache`.
    if (/-root-/.test(name) && name.includes('.partial-') && !isBeingBuilt(name)) {
      rmSync(other, { recursive: true, force: true });
    }
  }
}

function isBeingBuilt(name: string): boolean {
  return existsSync(`/proc/${name.split('.partial-')[1] ?? ''}`);
}

async function ensureDebootstrap(suite: Suite, say: Say): Promise<void> {
  if (!existsSync('/usr/sbin/debootstrap')) {
    if (!existsSync('/usr/bin/apt-get')) {
      throw new Error('debootstrap is missing, and there is no apt-get to install it: install debootstrap.');
    }
    say('installing debootstrap with apt-get');
    await installPackages(['debootstrap']);
  }
  // Older releases do not know forky by name; all suites since 2000 share sid's script.
  const scripts = '/usr/share/debootstrap/scripts';
  if (!existsSync(`${scripts}/${suite}`)) symlinkSync('sid', `${scripts}/${suite}`);
}

/** Installs Debian packages on this machine, reading the package lists first only when that is needed. */
export async function installPackages(names: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-q', '-y', '--no-install-recommends', ...names];
  if ((await run('apt-get', install, { env })).code === 0) return;
  await must('apt-get', ['update', '-q'], { env });
  await must('apt-get', install, { env });
}

/** The mirror that this machine itself uses where it is Debian, else Debian's own. */
function debianMirror(): string {
  const files = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
  for (const file of files.filter((name) => existsSync(name))) {
    const uri = /^(?:URIs:|deb)\s+(?:\[[^\]]*\]\s+)?(https?:\/\/\S*\/debian)\/?(?:\s|$)/m.exec(
      readFileSync(file, 'utf8'),
    )?.[1];
    if (uri) return uri;
  }
  return 'http://deb.debian.org/debian';
}
