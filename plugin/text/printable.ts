/**
 * A text from outside for a terminal: without control characters, which could move the cursor, recolour the screen or
 * rewrite what stands there (CWE-150). Names of processes and files are whatever somebody chose.
 */
export function printable(text: string): string {
  // C0, DEL, C1, line and paragraph separators, and what turns the direction of writing.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '�');
}
