/** What is the same for every cluster and takes long to make: made once, kept in the cache. */
import type { ImageArchive } from '../../manifests/images/build.js';
import { asSeed, projectImages } from './cluster-installed.js';
import { testImages, type TestImage } from './images/images.js';
import { nodeRoot, type Say } from './node-root.js';
import { seedWith } from './node/start.js';

export interface Parts {
  /** Root file system of the nodes. */
  root: string;
  /** What every new node's containerd holds. */
  images: readonly TestImage[];
  /** The project's own images. */
  project: readonly ImageArchive[];
  /** A disk of containerd's with these images, the project's perhaps with programs as they were built earlier. */
  seed: string;
}

/** @param installed whether agents and controller are pods */
export async function clusterParts(installed: boolean, say: Say): Promise<Parts> {
  const root = await nodeRoot(say);
  const forTests = await testImages(root);
  const project = installed ? await projectImages(say) : [];
  const images = [...forTests, ...project.map(asSeed)];
  return { root, images, project, seed: await seedWith(root, images, say) };
}
