/**
 * A local copy of one kind of objects that follows the API server: list, then watch from that resource version
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). client-node's informer
 * stops after any error but 410, asks for no bookmarks and hangs on half-open connections; this one
 *  - asks for bookmarks, so that a reconnect after a quiet time does not start from a forgotten version,
 *  - ends each watch by itself (timeoutSeconds) and gives up one that has been silent for too long,
 *  - lists again when the version is too old (410), and reports what was deleted meanwhile,
 *  - waits longer after each error in a row, with jitter.
 */
import { messageOf } from '../errors.js';
import { ApiError } from './api-error.js';
import { backoffMs, pause, type BackoffOptions } from './backoff.js';
import type { ListQuery, Query } from './client.js';
import type { KubeList, KubeObject, WatchEvent } from './types.js';

/** The two verbs that are needed: a ResourceClient has them. */
export interface ListWatchSource<T extends KubeObject> {
  list(query: ListQuery): Promise<KubeList<T>>;
  watch(query: ListQuery & Query, signal: AbortSignal): AsyncGenerator<WatchEvent<T>>;
}

export interface ListWatchOptions<T extends KubeObject> {
  /** Only this namespace. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Called after the copy was changed; `object` is undefined after a deletion, `old` before an addition. */
  onChange?: (key: string, object: T | undefined, old: T | undefined) => void;
  /** Called when a list is in: the API server answers. */
  onListed?: () => void;
  /** Lists again after every error, in place of going on watching: a watch does not tell that it has begun. */
  listAfterError?: boolean;
  /** Called with a sentence at each failed attempt; the next one follows by itself. */
  onError?: (message: string, error: unknown) => void;
  /** Takes out what is never read, to save memory (managedFields). */
  trim?: (object: T) => T;
  /** A watch on which nothing came for so long is given up; default 180,000 ms. API servers send bookmarks each minute. */
  inactivityMs?: number;
  /** Length of a watch in seconds; default 300, up to twice that at random. */
  watchSeconds?: number;
  backoff?: BackoffOptions;
  /** Objects in one page of a list; default 500. */
  pageSize?: number;
}

/** `namespace/name`, or `name` for cluster-scoped objects. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

export class ListWatch<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #stop = new AbortController();
  readonly #synced: Promise<void>;
  #resolveSynced!: () => void;
  /** Where the next watch begins; undefined: list first. */
  #version: string | undefined;
  #failures = 0;
  #hasSynced = false;
  #running: Promise<void> | undefined;
  #lastContact = 0;

  constructor(
    private readonly source: ListWatchSource<T>,
    private readonly options: ListWatchOptions<T> = {},
  ) {
    this.#synced = new Promise((resolve) => (this.#resolveSynced = resolve));
  }

  /** Begins to follow. Ends with stop(). */
  start(): this {
    this.#running ??= this.#run();
    return this;
  }

  /** Resolves when the first list is in. */
  synced(): Promise<void> {
    return this.#synced;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** When the API server was last heard of (milliseconds since the epoch; 0: never). */
  get lastContact(): number {
    return this.#lastContact;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list();
        await this.#watch(this.#version);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && error.isExpired) {
          this.#version = undefined;
          // Once is normal; a server that says so each time is not to be asked without a pause.
          if (this.#failures === 0) {
            this.#failures = 1;
            continue;
          }
        }
        this.#failures += 1;
        if (this.options.listAfterError) this.#version = undefined;
        this.options.onError?.(messageOf(error), error);
        await pause(
          backoffMs(this.#failures, this.options.backoff ?? { initialMs: 500, maxMs: 30_000 }),
          signal,
        );
      }
    }
  }

  /** Lists everything, page by page, and reports what differs from the copy. Returns the list's resource version. */
  async #list(): Promise<string> {
    const { pageSize = 500, trim = (object: T) => object } = this.options;
    const found = new Map<string, T>();
    let version = '';
    let next: string | undefined;
    do {
      const page: KubeList<T> = await this.source.list({
        ...this.#selection(),
        limit: pageSize,
        ...(next ? { continue: next } : {}),
      });
      for (const item of page.items) found.set(keyOf(item), trim(item));
      version = page.metadata.resourceVersion ?? version;
      next = page.metadata.continue || undefined;
    } while (next && !this.#stop.signal.aborted);
    this.#lastContact = Date.now();
    for (const [key, old] of [...this.#objects]) {
      const now = found.get(key);
      // A namesake with another UID: the old object was deleted meanwhile, and that must be seen.
      if (!now || now.metadata.uid !== old.metadata.uid) this.#set(key, undefined);
    }
    for (const [key, object] of found) {
      if (this.#objects.get(key)?.metadata.resourceVersion !== object.metadata.resourceVersion) {
        this.#set(key, object);
      }
    }
    if (!this.#hasSynced) {
      this.#hasSynced = true;
      this.#resolveSynced();
    }
    this.options.onListed?.();
    return version;
  }

  /** Follows one watch to its end. */
  async #watch(from: string): Promise<void> {
    const { inactivityMs = 180_000, watchSeconds = 300, trim = (object: T) => object } = this.options;
    const began = Date.now();
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, silence.signal]);
    const timer = setTimeout(() => silence.abort(), inactivityMs);
    timer.unref();
    try {
      const events = this.source.watch(
        {
          ...this.#selection(),
          resourceVersion: from,
          allowWatchBookmarks: true,
          timeoutSeconds: Math.round(watchSeconds * (1 + Math.random())),
        },
        signal,
      );
      for await (const { type, object } of events) {
        timer.refresh();
        this.#failures = 0;
        this.#lastContact = Date.now();
        // Kept at each event: what comes after an error goes on from here, and never back in time.
        this.#version = object.metadata.resourceVersion ?? this.#version;
        switch (type) {
          case 'ADDED':
          case 'MODIFIED':
            this.#set(keyOf(object), trim(object));
            break;
          case 'DELETED':
            this.#set(keyOf(object), undefined, object);
            break;
          case 'BOOKMARK':
            break;
          case 'ERROR':
            // The client throws these as ApiError before they get here.
            throw ApiError.fromStatus(object as unknown as Parameters<typeof ApiError.fromStatus>[0]);
        }
      }
      if (silence.signal.aborted) {
        throw new Error(`The watch was silent for ${inactivityMs / 1000} s; it is begun again.`);
      }
      // A server or proxy that ends each watch at once must not be asked in a tight loop.
      if (Date.now() - began < 1000 && !this.#stop.signal.aborted) {
        throw new Error('The API server ended the watch at once.');
      }
      this.#failures = 0;
    } finally {
      clearTimeout(timer);
    }
  }

  #set(key: string, object: T | undefined, last?: T): void {
    const old = this.#objects.get(key) ?? last;
    if (object) this.#objects.set(key, object);
    else if (!this.#objects.delete(key) && !last) return;
    this.options.onChange?.(key, object, old);
  }

  #selection(): ListQuery {
    const { namespace, labelSelector, fieldSelector } = this.options;
    return {
      ...(namespace ? { namespace } : {}),
      ...(labelSelector ? { labelSelector } : {}),
      ...(fieldSelector ? { fieldSelector } : {}),
    };
  }
}
