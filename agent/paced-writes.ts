import type { ServerWritableStream } from '@grpc/grpc-js';
import { LpmError } from '../common/errors.js';

/** As much of what was read may wait to be written to the connection. */
const IN_FLIGHT_BYTES = 4 * 1024 * 1024;

/**
 * Writes messages to a stream as fast as the other end reads them. Several may wait to be written: with one at a time each
 * would cost a round through the event loop. `bytes` is what a message counts for.
 *
 * @throws Canceled when the other end, `reader`, goes away
 */
export function pacedWrites<Message>(
  call: ServerWritableStream<unknown, Message>,
  reader: string,
): (message: Message, bytes: number) => Promise<void> {
  let gone = false;
  let waiting = 0;
  let wake = (): void => {};
  call.once('cancelled', () => {
    gone = true;
    wake();
  });
  return async (message, bytes) => {
    waiting += bytes;
    call.write(message, () => {
      waiting -= bytes;
      wake();
    });
    while (waiting > IN_FLIGHT_BYTES && !gone) await new Promise<void>((resolve) => (wake = resolve));
    if (gone) throw new LpmError('Canceled', `${reader} went away.`);
  };
}
