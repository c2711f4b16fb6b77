/** The wire format of protocol buffers (protobuf.dev: "Encoding"). */
import { badRequest } from '../status-error.js';

/** Varints are bigints, 64-bit values numbers (doubles), everything with a length a buffer. */
export type WireValue = bigint | number | Buffer;

export class Reader {
  #offset = 0;

  constructor(readonly data: Buffer) {}

  *fields(): Generator<[number: number, value: WireValue]> {
    while (this.#offset < this.data.length) {
      const tag = Number(this.#varint());
      yield [tag >>> 3, this.#value(tag & 7)];
    }
  }

  /** A packed list. */
  *varints(): Generator<bigint> {
    while (this.#offset < this.data.length) yield this.#varint();
  }

  #value(wireType: number): WireValue {
    switch (wireType) {
      case 0:
        return this.#varint();
      case 1:
        return this.#take(8).readDoubleLE();
      case 2:
        return this.#take(Number(this.#varint()));
      case 5:
        return this.#take(4).readFloatLE();
      default:
        throw badRequest(`the protobuf body has a field of wire type ${wireType}`);
    }
  }

  #varint(): bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.data[this.#offset++];
      if (byte === undefined) break;
      result |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return result;
    }
    throw badRequest('the protobuf body ends within a number');
  }

  #take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.data.length) throw badRequest('the protobuf body ends within a field');
    const part = this.data.subarray(this.#offset, end);
    this.#offset = end;
    return part;
  }
}
