import { EXIT } from './exit-code.js';
import { programOf, run } from './program.js';

// `kubectl migrate list | head -1`: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

// Not process.exit(): what was written to a pipe must get through first.
process.exitCode = await run(programOf(process.argv[1] ?? ''), process.argv.slice(2));
