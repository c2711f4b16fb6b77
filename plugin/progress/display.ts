/** What shows the way of an object: rows that are drawn again, or lines one after another. */
export interface Display<T> {
  /** The object as it has just come in. */
  update(object: T): void;
  /** Something to say beside: a lost connection, a controller that does not answer. */
  note(text: string): void;
  /** Stops drawing and leaves the terminal clean; `left` when the object goes on without being watched. */
  end(how: 'succeeded' | 'failed' | 'left'): Promise<void>;
}
