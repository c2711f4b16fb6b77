/**
 * A text that ends like a sentence. What a runtime, the kernel or the API server says often lacks the full stop, and what we
 * say next would run into it; where we have put one behind theirs, one of the two goes.
 */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  return /[.!?…]$/.test(trimmed) ? trimmed.replace(/([^.])\.\.$/, '$1.') : `${trimmed}.`;
}
