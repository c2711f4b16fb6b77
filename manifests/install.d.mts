/** The text of dist/install.yaml. */
export function installYaml(): Promise<string>;
