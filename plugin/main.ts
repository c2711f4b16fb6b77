import { earlyHelp } from './early.js';
import { EXIT } from './exit-code.js';
import { calledAs } from './programs.js';

// `kubectl migrate list | head -1`: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

const call = calledAs(process.argv[1] ?? '', process.argv.slice(2));
const help = earlyHelp(call);
// Not process.exit(): what was written to a pipe must get through first.
if (help !== undefined) process.stdout.write(`${help}\n`);
else if (call.args[0] === '__complete') {
  const { complete } = await import('./completion/run.js');
  process.stdout.write(await complete(call.program, call.args.slice(1)));
} else {
  const { run } = await import('./program.js');
  process.exitCode = await run(call);
}
