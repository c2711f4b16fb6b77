/** The text of dist/install.yaml. */
export function installYaml(): Promise<string>;

/** The objects in it, in the order of manifests/kustomization.yaml, and the components by name: plugin/install/bundled.ts types it. */
export function installData(): Promise<object>;
