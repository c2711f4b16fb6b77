/** What is the same for every cluster and takes long to make: made once, kept in the cache. */
import type { ImageArchive } from '../../manifests/images/build.js';
import { asSeed, projectImages } from './cluster-installed.js';
import { testImages, type TestImage } from './images/images.js';
import { nodeRoot, type Say } from './node-root.js';
import { containerdSeed } from './node/seed.js';
import { startNode, stopNode } from './node/start.js';

export interface Parts {
  /** Root file system of the nodes. */
  root: string;
  /** What every new node's containerd holds. */
  images: readonly TestImage[];
  /** The project's own images. */
  project: readonly ImageArchive[];
  /** A disk of containerd's with these images, the project's perhaps as they were built earlier. */
  seed: string | undefined;
}

/** @param installed whether agents and controller are pods */
export async function clusterParts(installed: boolean, say: Say): Promise<Parts> {
  const root = await nodeRoot(say);
  const forTests = await testImages(root);
  // These are small: each node unpacks them itself.
  if (!installed) return { root, images: forTests, project: [], seed: undefined };
  const project = await projectImages(say);
  const images = [...forTests, ...project.map(asSeed)];
  const start = (dir: string) => startNode({ dir, name: 'seed', images });
  return { root, images, project, seed: await containerdSeed(root, images, { start, stop: stopNode }, say) };
}
