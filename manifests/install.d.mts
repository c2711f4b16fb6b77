/** The text of dist/install.yaml. */
export function installYaml(): Promise<string>;

/** The objects in it, in the order of manifests/kustomization.yaml. */
export function installObjects(): Promise<object[]>;
