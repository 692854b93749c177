/** Builds `dist/` where it is missing or older than `src/`, once for all who ask. `npm test` has done so already. */
export async function ensureBuild(): Promise<void> {
  built ??= build();
  await built;
}

let built: Promise<void> | undefined;

async function build(): Promise<void> {
  // Plain JavaScript without types; it takes a lock, so that two test files do not build at once.
  const file = new URL('../../deploy/dev/dependencies.mjs', import.meta.url).href;
  const dependencies: { ensureBuild(): Promise<void> } = await import(file);
  await dependencies.ensureBuild();
}
