/** `npm run images`: the images of controller and agent as OCI archives in dist/images. */
import { relative } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { messageOf } from '../../common/errors.js';
import { buildImages } from './build.js';

const flags = await yargs(hideBin(process.argv))
  .scriptName('npm run images --')
  .usage(
    '$0 [--base IMAGE]\n\nBuilds localhost/controller:latest and localhost/checkpoint-agent:latest with buildah.',
  )
  .option('base', {
    type: 'string',
    describe:
      'Image of a registry to build from, as docker.io/library/node:22-trixie-slim (default: a Debian root made on the spot)',
  })
  .strict()
  .version(false)
  .locale('en')
  .help()
  .parseAsync();

try {
  const say = (line: string): void => console.error(line);
  const images = await buildImages({ say, ...(flags.base ? { base: flags.base } : {}) });
  for (const { reference, archive, digest } of images) {
    console.log(`${reference}  ${relative(process.cwd(), archive)}  ${digest}`);
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
