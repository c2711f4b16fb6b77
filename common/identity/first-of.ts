import type { Identity, IdentitySource } from './identity.js';

/** Of two sources the first one that has an identity: what somebody gave wins over what was issued. */
export function firstOf(given: IdentitySource, issued: IdentitySource): IdentitySource {
  const chosen = (): IdentitySource => (given.current ? given : issued);
  return {
    get current(): Identity | undefined {
      return chosen().current;
    },
    get problem(): string {
      return chosen().problem;
    },
    onChange: (listener) => {
      const stops = [given, issued].map((one) => one.onChange(listener));
      return () => stops.forEach((stop) => stop());
    },
    close: () => {
      given.close();
      issued.close();
    },
  };
}
